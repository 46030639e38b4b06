"""Make `functional_nets/data/embedded/*.npz` from the published IDX files.

    FUNCTIONAL_NETS_DATA=DIR python scripts/make_embedded_data.py [--out DIR]

MNIST is embedded whole. Of Fashion-MNIST, whose 30 MB would be too many, 1,000 training and 200 test images
of each class are chosen: those whose SHA-256 of the text "SEED/SPLIT/INDEX" is smallest, in their published
order. A digest rather than a random generator, because no release of any library will ever change it.
A third file, `order.npz`, holds how to put shuffled copies of both sets into their published order.

The files are the same bytes for the same zlib: entries in a fixed order, with fixed times and attributes. For
another zlib the arrays in them are still the same, which is what `functional_nets.data.catalogue` pins down.
"""

import argparse
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from functional_nets.data import DataError, embedded, idx, order
from functional_nets.data.contents import Contents, digest

SEED = 0
PER_CLASS = {"train": 1000, "test": 200}


def main(arguments: list[str] | None = None) -> None:
    """Write the files and print the digests that belong into the catalogue."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--out", type=Path, default=embedded.FOLDER, help="folder to write into (default: the package's own)"
    )
    out = parser.parse_args(arguments).out
    try:
        mnist, fashion_mnist = idx.load("mnist", None), idx.load("fashion_mnist", None)
    except DataError as error:
        parser.error(str(error))
    out.mkdir(parents=True, exist_ok=True)
    published = {"mnist": mnist, "fashion_mnist": fashion_mnist}
    (out / order.TABLE.name).write_bytes(pack(order.tables(published)))
    for name, contents in (("mnist", mnist), ("fashion_mnist", choose(fashion_mnist))):
        (out / f"{name}.npz").write_bytes(pack(contents._asdict()))
        for field, array in zip(Contents._fields, contents, strict=True):
            print(f"{name:14} {field:8} {array.shape!s:16} {digest(array)}")


def choose(contents: Contents) -> Contents:
    """The part of Fashion-MNIST that is embedded, in the published order."""
    train, test = chosen(contents.y_train, "train"), chosen(contents.y_test, "test")
    return Contents(contents.x_train[train], contents.y_train[train], contents.x_test[test], contents.y_test[test])


def chosen(labels: NDArray[np.uint8], split: str) -> NDArray[np.intp]:
    """Indices of the chosen examples, ascending: equally many of each class."""
    rank = [hashlib.sha256(f"{SEED}/{split}/{index}".encode()).digest() for index in range(len(labels))]
    of_class = (np.flatnonzero(labels == label) for label in range(10))
    return np.sort(np.concatenate([sorted(all_, key=rank.__getitem__)[: PER_CLASS[split]] for all_ in of_class]))


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """`arrays` as an `.npz` file, like `numpy.savez_compressed`, with nothing of today in it, and smaller."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever this runs.
            entry.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return file.getvalue()


if __name__ == "__main__":
    main()
