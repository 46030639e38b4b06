"""The data inside the package: all of MNIST, a part of Fashion-MNIST. They need no network and no folder.

`scripts/make_embedded_data.py` makes the files, and says how the part was chosen. Their licences lie
beside them.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from functional_nets.data.catalogue import KNOWN, PARTS
from functional_nets.data.contents import Contents, DataError, verify

FOLDER = Path(__file__).parent / "embedded"


def is_complete(name: str) -> bool:
    """Whether all of data set `name` is embedded, rather than a part of it."""
    return name not in PARTS


def load(name: str) -> Contents:
    """What is embedded of data set `name`, in the published order, verified.

    Raises:
        DataError: The package's own file is missing or damaged.
    """
    path = FOLDER / f"{name}.npz"
    try:
        contents = read_npz(path)
    except UNREADABLE as error:
        raise DataError(
            f"Expected the embedded data in {path}, found: {error}; install functional-nets again."
        ) from error
    verify(contents, PARTS.get(name, KNOWN[name]), [str(path)] * 4, "install functional-nets again")
    return contents


UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What `read_npz` raises on a file that is missing, damaged or something else: tried with random damage."""


def read_npz(path: Path) -> Contents:
    """The four arrays in `path`, under Keras's names. What they hold is not checked."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return Contents(*(np.ascontiguousarray(archive[field], np.uint8) for field in Contents._fields))


def notice(name: str, reason: str | None = None) -> str | None:
    """The line that says that only a part of `name` is embedded; None when all of it is.

    Args:
        name: A key of `KNOWN`.
        reason: Why no complete source was used, if one was tried.
    """
    if is_complete(name):
        return None
    why = f" (A download was tried: {reason})" if reason else ""
    return (
        f"ONLY A PART OF THE DATA IS USED: 10,000 of 60,000 training and 2,000 of 10,000 test images of"
        f" {KNOWN[name].title}, so results are not comparable with published ones;"
        f" for all of it, give --data-dir or --source tfds.{why}"
    )
