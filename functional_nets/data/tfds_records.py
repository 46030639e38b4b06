"""The examples in files that TensorFlow Datasets has prepared, as plain bytes.

    python -m functional_nets.data.tfds_records FORMAT FILE …

Writes `ROW` bytes for each example: the number of its file, 28×28 pixels, the label. This is a process of its own
because what reads `array_record` is C++, which on a hostile file may crash or take all memory there is: then only
this process ends.
"""

import contextlib
import struct
import sys
from collections.abc import Iterator, Sequence

from functional_nets.data import png

ROW = 1 + 28 * 28 + 1
FORMATS = ("array_record", "tfrecord")

_MEMORY = 768 * 2**20  # Bytes; reading all of Fashion-MNIST takes a quarter of it.
_LONGEST = 2**16  # Bytes of a serialised example; of the published ones, none has 2,000.
_AT_ONCE = 500


def main(arguments: Sequence[str]) -> None:
    """Writes the rows of all files to standard output, within the bound on memory."""
    from tensorflow_datasets.proto import tf_example_pb2

    file_format, *files = arguments
    _bound_memory()
    for number, file in enumerate(files):
        for record in records(file, file_format):
            feature = tf_example_pb2.Example.FromString(record).features.feature
            image = png.decode(feature["image"].bytes_list.value[0])
            if image.shape != (28, 28):
                raise ValueError(f"Expected images of 28×28 pixels, found one of shape {image.shape}")
            label = feature["label"].int64_list.value[0]
            sys.stdout.buffer.write(bytes([number]) + image.tobytes() + bytes([label]))


def records(path: str, file_format: str) -> Iterator[bytes]:
    """The serialised examples in one file of one of the `FORMATS`.

    Raises:
        ValueError: An example is longer than any published one.
    """
    for record in _array_records(path) if file_format == "array_record" else _tf_records(path):
        if len(record) > _LONGEST:
            raise ValueError(f"Expected examples of at most {_LONGEST:,} bytes, found one of {len(record):,}")
        yield record


def _array_records(path: str) -> Iterator[bytes]:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    with ArrayRecordDataSource(path) as source:
        for first in range(0, len(source), _AT_ONCE):
            yield from source.__getitems__(range(first, min(first + _AT_ONCE, len(source))))


def _tf_records(path: str) -> Iterator[bytes]:
    """A TFRecord file is a row of: length (64 bits), its checksum (32), the record, its checksum (32).

    The checksums are CRC-32C, which Python does not have; the digests of the content are checked instead.
    """
    with open(path, "rb") as stream:
        while head := stream.read(12):
            (size,) = struct.unpack_from("<Q", head)
            # One byte more than is allowed is enough to be refused for.
            yield stream.read(min(size, _LONGEST + 1))
            stream.read(4)


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Not every system has such a bound.
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main(sys.argv[1:])
