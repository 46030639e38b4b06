"""Read what TensorFlow Datasets has prepared, from its files, without TensorFlow.

Import this late: it imports TFDS, which takes a second.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from tensorflow_datasets.proto import tf_example_pb2

from functional_nets.data import order, png
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import Contents, DataError, verify


def read(name: str, folder: Path) -> Contents:
    """All of data set `name` from `folder`, such as `…/mnist/3.0.1`, in the published order, verified.

    Raises:
        DataError: The files are damaged, in a format that takes TensorFlow to read, or another data set.
    """
    try:
        builder = tfds.builder_from_directory(folder)
        if builder.name != name:
            raise DataError(f"Expected {KNOWN[name].title} in {folder}, found {builder.name}; delete that folder.")
        x_train, y_train = order.restore(*_split(builder, "train"), f"{name}_train")
        x_test, y_test = order.restore(*_split(builder, "test"), f"{name}_test")
    except DataError:
        raise
    # Damaged files surface as whatever TFDS, protobuf, zlib, Pillow or array_record raises: no common class.
    except Exception as error:
        raise DataError(
            f"Expected {KNOWN[name].title} as TensorFlow Datasets prepares it, found {folder} unreadable"
            f" ({type(error).__name__}: {' '.join(str(error).split())}); delete that folder."
        ) from error
    contents = Contents(x_train, y_train, x_test, y_test)
    verify(contents, KNOWN[name], [str(folder)] * 4, "delete that folder")
    return contents


def _split(builder: Any, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images `[n, 28, 28]` and labels `[n]`, in the order of the files."""
    images, labels = [], []
    for path in builder.info.splits[split].filepaths:
        for record in records(str(path), builder.info.file_format.value):
            feature = tf_example_pb2.Example.FromString(record).features.feature
            images.append(png.decode(feature["image"].bytes_list.value[0]))
            labels.append(feature["label"].int64_list.value[0])
    return np.stack(images), np.array(labels, np.uint8)


def records(path: str, file_format: str) -> Iterator[bytes]:
    """The serialised examples in one file.

    Raises:
        DataError: `file_format` is neither `"array_record"` nor `"tfrecord"`.
    """
    if file_format == "array_record":
        return _array_records(path)
    if file_format == "tfrecord":
        return _tf_records(path)
    raise DataError(
        f"Expected a data set prepared as array_record or tfrecord, found {file_format} in {path};"
        " prepare it as one of those, or delete that folder."
    )


def _array_records(path: str) -> Iterator[bytes]:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    with ArrayRecordDataSource(path) as source:
        yield from source.__getitems__(range(len(source)))


def _tf_records(path: str) -> Iterator[bytes]:
    """A TFRecord file is a row of: length (64 bits), its checksum (32), the record, its checksum (32).

    The checksums are CRC-32C, which Python does not have; the digests of the content are checked instead.
    """
    data = Path(path).read_bytes()
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from("<Q", data, position)
        yield data[position + 12 : position + 12 + size]
        position += 16 + size
