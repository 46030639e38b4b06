"""What the data are: the types that hold them, and the proof that they are what they are called."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functional_nets.data.catalogue import KNOWN, PARTS, Known

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Names of the published files, in the order of `Contents`: MNIST and Fashion-MNIST share all four."""


class DataError(ValueError):
    """Data that are missing, broken or not what they are called.

    The message is one line: what was expected, what was found, what to do. The commands print it and
    exit with status 2.
    """


class Split(NamedTuple):
    """The training or the test half of a data set.

    Attributes:
        x: Images, uint8 `[n, 28, 28, 1]`: 0 is the background, 255 the full ink.
        y: Labels, int32 `[n]`, 0 to 9: an index into the data set's `class_names`.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.int32]


class Dataset(NamedTuple):
    """A verified data set, and where it came from.

    Attributes:
        train: The images and labels to learn from, in the order in which they were published.
        test: The images and labels to measure on.
        class_names: What each label means, by label.
        name: `"mnist"` or `"fashion_mnist"`.
        source: `"idx"`, `"tfds"` or `"embedded"`: what was read, never `"auto"`.
        complete: Whether these are all 60,000 + 10,000 images.
        notice: One line for people when they are not, else None. Accuracies measured on a part are
            not comparable with published ones, so whoever shows a result shows this line with it.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    name: str
    source: str
    complete: bool = True
    notice: str | None = None


class Contents(NamedTuple):
    """The four arrays of a data set as they are published, under Keras's names.

    Attributes:
        x_train: Training images, uint8 `[n, 28, 28]`.
        y_train: Training labels, uint8 `[n]`.
        x_test: Test images, uint8 `[m, 28, 28]`.
        y_test: Test labels, uint8 `[m]`.
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]


def as_dataset(contents: Contents, name: str, source: str, notice: str | None = None) -> Dataset:
    """`contents` in the shapes and types that networks take. Nothing is checked: see `verify`."""
    x_train, y_train, x_test, y_test = contents
    return Dataset(
        train=Split(x_train[..., np.newaxis], y_train.astype(np.int32)),
        test=Split(x_test[..., np.newaxis], y_test.astype(np.int32)),
        class_names=KNOWN[name].class_names,
        name=name,
        source=source,
        complete=notice is None,
        notice=notice,
    )


def idx_header(array: NDArray[Any]) -> bytes:
    """The header of the IDX file that holds `array`: magic number and sizes, big-endian 32-bit integers."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)


def digest(array: NDArray[np.uint8]) -> str:
    """SHA-256, in hexadecimal, of the uncompressed IDX file that holds `array`.

    The header is part of it, so that the digest is the published file's whatever the array came from.
    """
    sha256 = hashlib.sha256(idx_header(array))
    sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()


def verify(contents: Contents, expected: Known, origins: Sequence[str], remedy: str) -> None:
    """Nothing, when `contents` are exactly `expected`.

    Args:
        contents: What was read, of any counts and values.
        expected: What it is called.
        origins: Where each of the four arrays came from, for the message.
        remedy: What the user can do about it, for the message.

    Raises:
        DataError: They are not. The most telling difference is named: counts, then the range of the
            labels, then the name under which the content is known, and only then a bare digest.
    """
    for part, images, labels in (("training", 0, 1), ("test", 2, 3)):
        if len(contents[images]) != len(contents[labels]):
            raise DataError(
                f"Expected as many {part} labels as images, found {len(contents[images]):,} images in"
                f" {origins[images]} and {len(contents[labels]):,} labels in {origins[labels]}; {remedy}."
            )
        if len(contents[labels]) and (largest := int(contents[labels].max())) > 9:
            raise DataError(f"Expected labels 0 to 9, found {largest} in {origins[labels]}; {remedy}.")
    for array, sha256, file, origin in zip(contents, expected.digests, FILES, origins, strict=True):
        found = digest(array)
        if found != sha256:
            known = _identify(found)
            wanted = f"{file} of {expected.title}" + ("" if known else f" (SHA-256 {sha256})")
            raise DataError(
                f"Expected {wanted}, found {known or f'content with SHA-256 {found}'} in {origin}; {remedy}."
            )


def _identify(found: str) -> str | None:
    """The file of which `found` is the digest, if it is one that this package knows."""
    for known in (*KNOWN.values(), *PARTS.values()):
        for file, sha256 in zip(FILES, known.digests, strict=True):
            if found == sha256:
                return f"{file} of {known.title}"
    return None
