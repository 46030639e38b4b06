"""PNG without TensorFlow: Pillow is the witness."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from functional_nets.data import png


@pytest.fixture
def image():
    # Smooth, so that an encoder that chooses filters chooses some.
    return np.add.outer(np.arange(28), 2 * np.arange(28)).astype(np.uint8)


def by_pillow(image, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", **options)
    return file.getvalue()


def test_pillow_decodes_what_is_encoded(image):
    with Image.open(io.BytesIO(png.encode(image))) as decoded:
        assert decoded.mode == "L"
        assert np.array_equal(np.asarray(decoded), image)


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 5)])
def test_decode_undoes_encode(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert np.array_equal(png.decode(png.encode(image)), image)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_files_of_another_make_are_decoded(image, level):
    assert np.array_equal(png.decode(by_pillow(image, compress_level=level)), image)


def test_filtered_rows_are_not_taken_for_plain_ones(image):
    file = by_pillow(image)
    assert png._decode_unfiltered(file) is None  # Or the test above proves nothing.


def test_a_picture_in_colour_is_refused(image):
    with pytest.raises(ValueError, match="greyscale"):
        png.decode(by_pillow(np.stack([image] * 3, axis=-1)))


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow, beside the error.
@pytest.mark.parametrize("size", [0, 20, 40, 60])
def test_a_truncated_file_is_an_error(image, size):
    with pytest.raises((OSError, SyntaxError)):
        png.decode(png.encode(image)[:size])


def test_a_stream_without_its_checksum_is_not_decoded(image):
    file = png.encode(image)
    (size,) = struct.unpack(">I", file[33:37])
    cut = file[:33] + struct.pack(">I", size - 4) + b"IDAT" + file[41 : 41 + size - 4] + file[41 + size :]
    assert png._decode_unfiltered(cut) is None
