"""`load`: one call for every data set and every source."""

import os
from pathlib import Path

from functional_nets.data import cache, embedded, idx, tfds_source
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import DataError, Dataset, as_dataset

NAMES = tuple(KNOWN)
"""What `load` can load."""

SOURCES = ("auto", "embedded", "idx", "tfds")
"""Where `load` can load it from."""


def load(name: str, *, source: str = "auto", data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set `name`: verified, the same bytes in the same order from every source that is complete.

    Args:
        name: `"mnist"` or `"fashion_mnist"`.
        source: `"idx"` reads the four published files, from `data_dir`, `FUNCTIONAL_NETS_DATA` or
            Debian's package. `"tfds"` lets TensorFlow Datasets download and prepare them, once.
            `"embedded"` reads what is inside the package. `"auto"` takes the first of: IDX files; what
            `"tfds"` has cached; embedded data, if they are all of `name`; a download; embedded data.
        data_dir: The folder of the source, instead of its usual ones; `"auto"` then looks there and nowhere
            else. `"embedded"` needs none.

    Returns:
        The data set. When it is only a part of the data, `complete` is false and `notice` says so.

    Raises:
        DataError: An unknown name or source, or data that are missing, broken or something else.
    """
    _one_of("data set", name, NAMES)
    _one_of("source", source, SOURCES)
    folder = None if data_dir is None else Path(data_dir)
    try:
        folder = folder and folder.expanduser()
        return _auto(name, folder) if source == "auto" else _from(name, source, folder)
    except RuntimeError as error:  # Python's where there is no home.
        raise DataError(f"Expected a folder, found {folder} and no home for its ~; name it in full.") from error
    except OSError as error:  # Of a folder that may not be searched, or whose name is too long.
        raise DataError(
            f"Expected a folder with {KNOWN[name].title}, found {error.filename or folder}: {error.strerror};"
            " name another with --data-dir."
        ) from error


def _from(name: str, source: str, folder: Path | None) -> Dataset:
    """The data set from one source, which is not `"auto"`."""
    if source == "embedded":
        return as_dataset(embedded.load(name), name, source, embedded.notice(name))
    contents = (idx if source == "idx" else tfds_source).load(name, folder)
    return as_dataset(contents, name, source)


def _auto(name: str, folder: Path | None) -> Dataset:
    """The data set from the first source that has it: the cheapest that is complete, then a part."""
    if idx.find(name, folder):
        return load(name, source="idx", data_dir=folder)
    if folder is not None:
        # Whoever names a folder wants its data: falling back on others would hide a slip of the pen.
        source = "tfds" if tfds_source.is_local(name, folder) else "idx"
        return load(name, source=source, data_dir=folder)
    if contents := cache.read(name, cache.root(None)):
        return as_dataset(contents, name, "tfds")
    if embedded.is_complete(name):
        return load(name, source="embedded")
    try:
        return load(name, source="tfds")
    except DataError as error:
        return as_dataset(embedded.load(name), name, "embedded", embedded.notice(name, str(error)))


def _one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise DataError(f"Expected a {what} out of {', '.join(known)}, found {given!r}; choose one of them.")
