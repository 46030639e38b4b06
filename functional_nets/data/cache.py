"""One verified file per data set, so that what took half a minute to prepare loads at once."""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np

from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import Contents, DataError, verify
from functional_nets.data.embedded import read_npz


def root(data_dir: Path | None) -> Path:
    """The folder for all that this package writes: below `data_dir`, or else in the user's cache folder."""
    return (data_dir or of_user(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "functional_nets"


def of_user(folder: str) -> Path:
    """The folder, `~` being the user's own; for a user without one, as in some containers, among temporary files."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"functional_nets-{os.getuid()}"


def path(name: str, folder: Path) -> Path:
    """The file in `folder` that holds data set `name`, once it is written."""
    return folder / f"{name}.npz"


def read(name: str, folder: Path) -> Contents | None:
    """The data set `name` as `write` left it in `folder`, verified; None when it is not there.

    A damaged file is removed, with a warning: it is only a copy, and made again when it is needed.
    """
    file = path(name, folder)
    if not file.is_file():
        return None
    try:
        contents = read_npz(file)
        verify(contents, KNOWN[name], [str(file)] * 4, "delete it")
    except DataError as error:
        warnings.warn(f"The cached data in {file} are damaged and not used: {error}", stacklevel=2)
        _remove(file)
        return None
    return contents


def write(name: str, folder: Path, contents: Contents) -> None:
    """Keep `contents`, which are verified, for `read`: the whole file or none, whatever stops the program.

    A folder that cannot be written costs time at the next load and nothing else, so it is only warned of.
    """
    file = path(name, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Its folder is for this user alone while it is written; the file itself is as the user's umask says.
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"{name}-") as private:
            part = Path(private) / file.name
            with part.open("wb") as stream:
                # Not compressed: reading 55 MB takes less time than inflating them.
                np.savez(stream, **contents._asdict())
            part.replace(file)
    except OSError as error:
        warnings.warn(f"The data could not be cached in {file}: {error}", stacklevel=2)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # In a folder that cannot be written the file stays, and is warned of again.
        return
