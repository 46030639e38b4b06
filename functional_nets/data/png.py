"""PNG for greyscale images of 8 bits, as TensorFlow Datasets stores MNIST, without TensorFlow.

The format: Portable Network Graphics Specification, third edition, https://www.w3.org/TR/png-3/.
"""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

LARGEST = 28 * 28
"""Pixels of an image that `decode` decodes: a file of a kilobyte can hold a million times as many."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(image: NDArray[np.uint8]) -> bytes:
    """The image `[height, width]` as a PNG file: one IDAT chunk, no row filtered."""
    height, width = image.shape
    # Width, height, bits; greyscale, deflate, the usual filters, not interlaced.
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    rows = np.zeros((height, 1 + width), np.uint8)  # Each row is led by its filter's number: 0, none.
    rows[:, 1:] = image
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def decode(data: bytes) -> NDArray[np.uint8]:
    """The image `[height, width]`, of at most `LARGEST` pixels, in a greyscale PNG file of any make.

    Raises:
        ValueError: It is not one.
    """
    image = _decode_unfiltered(data)
    return _decode_any(data) if image is None else image


def _decode_unfiltered(data: bytes) -> NDArray[np.uint8] | None:
    """What `encode` encoded, at a fifth of Pillow's cost; None when something else did."""
    if len(data) < 41 or data[12:16] != b"IHDR" or data[24:29] != b"\x08\0\0\0\0" or data[37:41] != b"IDAT":
        return None
    width, height, size = struct.unpack(">2I", data[16:24]) + struct.unpack(">I", data[33:37])
    if data[49 + size : 53 + size] != b"IEND" or width * height > LARGEST:
        return None
    try:
        # One byte more than is right is enough to be refused for.
        stream = zlib.decompressobj()
        plain = stream.decompress(data[41 : 41 + size], height * (1 + width) + 1)
        rows = np.frombuffer(plain, np.uint8).reshape(height, 1 + width)
    except (zlib.error, ValueError):
        return None
    return rows[:, 1:] if stream.eof and not rows[:, 0].any() else None


def _decode_any(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if image.width * image.height > LARGEST:
            raise ValueError(f"Expected at most {LARGEST} pixels, found {image.width}×{image.height}")
        if image.mode != "L":
            raise ValueError(f"Expected a greyscale image, found one of mode {image.mode}")
        return np.asarray(image)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
