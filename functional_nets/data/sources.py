"""`load`: one call for every data set and every source."""

import os
from pathlib import Path

from functional_nets.data import embedded, idx
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
        source: `"idx"` reads the four published files; `"embedded"` reads what is inside the package;
            `"auto"` takes the first of IDX files and embedded data.
        data_dir: The folder of the source, instead of its usual ones. `"embedded"` needs none.

    Returns:
        The data set. When it is only a part of the data, `complete` is false and `notice` says so.

    Raises:
        DataError: An unknown name or source, or data that are missing, broken or something else.
    """
    _one_of("data set", name, NAMES)
    _one_of("source", source, SOURCES)
    folder = None if data_dir is None else Path(data_dir).expanduser()
    if source == "idx" or (source == "auto" and (folder is not None or idx.find(name, None))):
        return as_dataset(idx.load(name, folder), name, "idx")
    if source == "tfds":
        raise DataError(
            "Expected source auto, embedded or idx, found tfds, which is not built yet; use one of those."
        )
    return as_dataset(embedded.load(name), name, "embedded", embedded.notice(name))


def _one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise DataError(f"Expected a {what} out of {', '.join(known)}, found {given!r}; choose one of them.")
