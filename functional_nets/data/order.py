"""Put shuffled examples back into the order in which they were published.

TensorFlow Datasets shuffles what it prepares, and how depends on its version. So examples are sorted by their
content, which every shuffled copy agrees on, and then put where the published ones stand: a table inside the
package holds that permutation. Whether the result is the published data, digests say afterwards.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functional_nets.data import npz
from functional_nets.data.contents import Contents

TABLE = Path(__file__).parent / "embedded" / "order.npz"
"""Made by `scripts/make_embedded_data.py`: `by_content` of each published split, under `"NAME_SPLIT"`."""

LARGEST = 2**20
"""Bytes that the table may have: 16 bits for each of 2 × 70,000 examples, and headers."""


def by_content(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The indices that sort examples by the bytes of their images, and those of equal images by label."""
    rows = np.concatenate([images.reshape(len(images), -1), labels[:, np.newaxis]], axis=1)
    return np.argsort(rows.view(f"V{rows.shape[1]}")[:, 0], kind="stable")


def restore(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], key: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The examples of a shuffled split in the published order.

    Args:
        images: `[n, 28, 28]`, in any order.
        labels: `[n]`, in the same order.
        key: `"NAME_SPLIT"`, such as `"mnist_train"`.

    Returns:
        Images and labels. They are left as they are when there are more or fewer than published.
    """
    published: NDArray[np.uint16] = npz.read(TABLE, largest=LARGEST)[key]
    if len(published) != len(images):
        return images, labels
    source = np.empty(len(published), np.intp)
    source[published] = by_content(images, labels)
    return images[source], labels[source]


def tables(published: Mapping[str, Contents]) -> dict[str, NDArray[np.uint16]]:
    """What belongs into `TABLE`, from the contents of each data set. 16 bits count to 65,535."""
    return {
        f"{name}_{split}": by_content(images, labels).astype(np.uint16)
        for name, (x_train, y_train, x_test, y_test) in published.items()
        for split, images, labels in (("train", x_train, y_train), ("test", x_test, y_test))
    }
