"""The data inside the package: all of MNIST, a part of Fashion-MNIST. They need no network and no folder.

`scripts/make_embedded_data.py` makes the files, and says how the part was chosen. Their licences lie
beside them.
"""

from pathlib import Path

import numpy as np

from functional_nets.data import bounded, npz
from functional_nets.data.catalogue import KNOWN, PARTS
from functional_nets.data.contents import Contents, DataError, verify

FOLDER = Path(__file__).parent / "embedded"

LARGEST = 64 * 2**20
"""Bytes that the four arrays may have: 70,000 published examples have 55 million."""


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
    except DataError as error:
        raise DataError(
            f"Expected the embedded data in {path}, found: {error}; install functional-nets again."
        ) from error
    verify(contents, PARTS.get(name, KNOWN[name]), [str(path)] * 4, "install functional-nets again")
    return contents


def read_npz(path: Path) -> Contents:
    """The four arrays in `path`, under Keras's names. Whether they are a known data set is not checked.

    Raises:
        DataError: It holds no images and labels of 8 bits, in shapes that IDX files have.
    """
    arrays = npz.read(path, largest=LARGEST)
    shapes = {name: (array.dtype.name, array.shape[1:]) for name, array in arrays.items()}
    expected = {name: ("uint8", (28, 28) if name[0] == "x" else ()) for name in Contents._fields}
    if shapes != expected or any(array.ndim == 0 for array in arrays.values()):
        raise DataError(
            f"Expected {', '.join(Contents._fields)} as published, found {bounded.shown(shapes)} in {path}; delete it."
        )
    return Contents(**{name: np.ascontiguousarray(array) for name, array in arrays.items()})


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
