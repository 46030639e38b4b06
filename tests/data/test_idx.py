"""IDX files: what is read is what was published, and everything else is refused in one telling line."""

import gzip
import os
import shutil

import numpy as np
import pytest

from functional_nets.data import DataError, idx, load
from functional_nets.data.contents import FILES, digest
from tests.data.made_data import few, refused, same, write_idx

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = FILES


@pytest.fixture
def folder(tmp_path):
    """A folder with four well-formed files of a few examples."""
    return write_idx(tmp_path / "data", few())


def read(folder):
    return load("mnist", source="idx", data_dir=folder)


def test_parse_undoes_serialise():
    for array in few():
        kind = "images" if array.ndim == 3 else "labels"
        assert np.array_equal(idx.parse(idx.serialise(array), kind=kind, origin="memory"), array)


def test_the_digest_of_an_array_is_that_of_its_published_file(real_data):
    import hashlib

    published = gzip.decompress((real_data / "mnist" / f"{TEST_LABELS}.gz").read_bytes())
    array = idx.parse(published, kind="labels", origin="published")
    assert digest(array) == hashlib.sha256(published).hexdigest()


def test_published_files_load_in_the_promised_shapes_and_types(real_data):
    for name in ("mnist", "fashion_mnist"):
        data = load(name, source="idx", data_dir=real_data)
        for split, n in ((data.train, 60_000), (data.test, 10_000)):
            assert split.x.shape == (n, 28, 28, 1)
            assert split.x.dtype == np.uint8
            assert split.y.shape == (n,)
            assert split.y.dtype == np.int32
        assert (data.name, data.source, data.complete, data.notice) == (name, "idx", True, None)
        assert len(data.class_names) == 10


def test_zipped_and_plain_files_give_the_same_wherever_they_lie(tmp_path, tiny, monkeypatch):
    plain = load("mnist", data_dir=write_idx(tmp_path / "plain", tiny))
    zipped = load("mnist", data_dir=write_idx(tmp_path / "zipped" / "mnist", tiny, zipped=True).parent)
    assert same(plain, zipped)
    monkeypatch.setenv(idx.ENVIRONMENT, str(tmp_path / "zipped"))
    assert load("mnist", source="idx").source == "idx"
    # Some browsers unzip what they download and keep the name.
    for file in FILES:
        (tmp_path / "plain" / file).rename(tmp_path / "plain" / f"{file}.gz")
    assert same(plain, load("mnist", data_dir=tmp_path / "plain"))


def test_a_truncated_file_is_refused_with_its_size(folder):
    path = folder / IMAGES
    path.write_bytes(path.read_bytes()[:-1])
    with refused("2,368 bytes for 3 images", "2,367", "truncated", str(path)):
        read(folder)


def test_a_file_that_goes_on_too_long_is_refused(folder):
    path = folder / TEST_LABELS
    path.write_bytes(path.read_bytes() + b"\0")
    with refused("10 bytes for 2 labels", "found 11", str(path)):
        read(folder)


@pytest.mark.parametrize("size", [0, 3, 4, 15])
def test_a_file_that_ends_in_its_header_is_refused(folder, size):
    path = folder / IMAGES
    path.write_bytes(path.read_bytes()[:size])
    with refused(str(path)):
        read(folder)


def test_a_file_of_another_kind_is_refused_by_its_magic_number(folder):
    (folder / IMAGES).write_bytes(b"<html>not found</html>")
    with refused("magic number 2051", "3c 68 74 6d", IMAGES):
        read(folder)


def test_a_labels_file_given_as_images_is_named(folder):
    shutil.copy(folder / LABELS, folder / IMAGES)
    with refused("Expected images", "found labels", IMAGES):
        read(folder)


def test_an_images_file_given_as_labels_is_named(folder):
    shutil.copy(folder / IMAGES, folder / LABELS)
    with refused("Expected labels", "found images", LABELS):
        read(folder)


def test_images_of_another_size_are_refused(folder):
    (folder / IMAGES).write_bytes(idx.serialise(np.zeros((3, 32, 30), np.uint8)))
    with refused("28×28", "32×30"):
        read(folder)


@pytest.mark.parametrize("damage", ["cut off", "flipped bit", "wrong checksum", "no deflate"])
def test_a_corrupt_gzip_file_is_refused(tmp_path, damage):
    folder = write_idx(tmp_path, few(), zipped=True)
    path = folder / f"{IMAGES}.gz"
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        del data[len(data) // 2 :]
    elif damage == "no deflate":
        data[10:20] = b"\xff" * 10  # After the header of 10 bytes.
    else:
        data[len(data) // 2 if damage == "flipped bit" else -6] ^= 1
    path.write_bytes(data)
    with refused("gzip", str(path), "download it again"):
        read(folder)


def test_different_counts_of_images_and_labels_are_refused(folder):
    (folder / TEST_LABELS).write_bytes(idx.serialise(few(test=5).y_test))
    with refused("2 images", "5 labels", TEST_IMAGES, TEST_LABELS):
        read(folder)


def test_a_label_above_nine_is_refused(folder):
    (folder / LABELS).write_bytes(idx.serialise(np.array([1, 10, 2], np.uint8)))
    with refused("labels 0 to 9", "found 10", LABELS):
        read(folder)


def test_well_formed_files_of_something_else_are_refused_with_both_digests(folder):
    expected = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    with refused("MNIST", expected, digest(few().x_train)):
        read(folder)


def test_one_changed_pixel_is_refused(tmp_path, tiny):
    x_test = tiny.x_test.copy()
    x_test[-1, -1, -1] ^= 1
    with refused(TEST_IMAGES, digest(tiny.x_test), digest(x_test)):
        read(write_idx(tmp_path, tiny._replace(x_test=x_test)))


def test_mnist_under_the_name_of_fashion_is_named(tmp_path, mnist):
    folder = write_idx(tmp_path / "fashion_mnist", mnist)
    with refused(f"Expected {IMAGES} of Fashion-MNIST", f"found {IMAGES} of MNIST"):
        load("fashion_mnist", data_dir=folder)


def test_fashion_under_the_name_of_mnist_is_named(real_data):
    with refused(f"Expected {IMAGES} of MNIST", f"found {IMAGES} of Fashion-MNIST"):
        load("mnist", data_dir=real_data / "fashion_mnist")


def test_the_test_half_given_as_the_training_half_is_named(tmp_path, tiny):
    swapped = tiny._replace(x_train=tiny.x_test, y_train=tiny.y_test)
    with refused(f"Expected {IMAGES} of tiny MNIST", f"found {TEST_IMAGES} of tiny MNIST"):
        read(write_idx(tmp_path, swapped))


def test_a_missing_file_is_named(folder):
    (folder / TEST_LABELS).unlink()
    with refused(TEST_LABELS, str(folder)):
        read(folder)


@pytest.mark.parametrize("source", ["idx", "auto"])
def test_an_empty_a_missing_and_a_foreign_folder_are_refused(tmp_path, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").touch()
    for folder, words in (
        ("empty", "an empty folder"),
        ("missing", "no folder"),
        ("foreign", "none of them"),
    ):
        with refused(words, str(tmp_path / folder)):
            load("mnist", source=source, data_dir=tmp_path / folder)
    with refused("a file"):
        load("mnist", source=source, data_dir=tmp_path / "foreign" / "notes.txt")


def test_idx_without_any_folder_says_how_to_name_one():
    with refused("--data-dir", idx.ENVIRONMENT):
        load("mnist", source="idx")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_refused(folder):
    (folder / IMAGES).chmod(0)
    with refused("permissions", IMAGES):
        read(folder)


def test_bad_data_are_a_value_error():
    assert issubclass(DataError, ValueError)
