"""`.npz` files of numbers are read as NumPy reads them, and nothing else is read."""

import io
import zipfile

import numpy as np
import pytest

from functional_nets.data import npz
from tests.data.made_data import refused

LARGEST = 10_000


def read(path):
    return npz.read(path, largest=LARGEST)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", npz.NUMBERS)
def test_numbers_of_every_type_come_back_in_their_shape(tmp_path, name, compressed):
    arrays = {
        "flat": np.arange(6).astype(name), "scalar": np.ones((), name), "empty": np.zeros((0, 3), name),
        "params/deep/cube": np.arange(24).reshape(2, 3, 4).astype(name),
    }  # fmt: skip
    (np.savez_compressed if compressed else np.savez)(tmp_path / "file.npz", **arrays)
    found = read(tmp_path / "file.npz")
    assert list(found) == list(arrays)
    for key, array in arrays.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_array_equal(found[key], array)
        assert found[key].flags.writeable


def test_another_byte_order_and_fortrans_order_of_elements_give_the_same_numbers(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "file.npz", order=np.asfortranarray(array), bytes=array.astype(">f8"))
    for found in read(tmp_path / "file.npz").values():
        assert found.dtype == np.dtype("=f8")
        np.testing.assert_array_equal(found, array)


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")  # From `zipfile`, which writes it all the same.
def test_a_name_that_stands_for_two_arrays_is_refused(tmp_path):
    with refused("a.npy", "2 times"):
        read(zipped(tmp_path / "file.npz", [("a.npy", saved(1)), ("a.npy", saved(2))]))


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with refused("notes.txt"):
        read(zipped(tmp_path / "file.npz", [("a.npy", saved(1)), ("notes.txt", b"")]))


def test_names_lead_nowhere(tmp_path):
    path = zipped(tmp_path / "file.npz", [("../../outside.npy", saved(1)), ("/root.npy", saved(2))])
    assert list(read(path)) == ["../../outside", "/root"]
    assert [file.name for file in tmp_path.iterdir()] == ["file.npz"]


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array(["text"]), np.array([(1, 2)], "i4,i4"), np.zeros(2, "M8[s]")]
)
def test_what_is_no_number_is_refused(tmp_path, array):
    np.savez(tmp_path / "file.npz", array=array)
    with refused("arrays of numbers", "array.npy"):
        read(tmp_path / "file.npz")


def test_booleans_of_other_bytes_than_0_and_1_are_refused(tmp_path):
    np.savez(tmp_path / "file.npz", array=np.array([0, 1, 2], np.uint8).view(bool))
    with refused("0 or 1"):
        read(tmp_path / "file.npz")


def test_arrays_are_bounded_together(tmp_path):
    sizes = dict.fromkeys("ab", np.zeros(4850, np.uint8))  # And a header of 128 bytes each.
    np.savez_compressed(tmp_path / "file.npz", **sizes)
    assert len(read(tmp_path / "file.npz")) == 2
    np.savez_compressed(tmp_path / "file.npz", **sizes, c=np.zeros(1, np.uint8))
    with refused("at most 10,000 bytes"):
        read(tmp_path / "file.npz")


@pytest.mark.parametrize("content", [b"", b"PK\5\6", saved(1), b"x" * 100])
def test_what_is_no_zip_file_is_refused(tmp_path, content):
    (tmp_path / "file.npz").write_bytes(content)
    with refused("file.npz"):
        read(tmp_path / "file.npz")


def test_an_archive_behind_something_else_is_refused(tmp_path):
    path = zipped(tmp_path / "file.npz", [("a.npy", saved(1))])
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    with refused("file.npz"):
        read(path)


def test_what_a_damaged_file_says_is_cut_short(tmp_path):
    text = b"-" * 9000 + b"1\n"
    content = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text
    with refused("file.npz") as caught:
        read(zipped(tmp_path / "file.npz", [("a.npy", content)]))
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with refused("No such file", "file.npz"):
        read(tmp_path / "file.npz")
