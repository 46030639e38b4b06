"""A folder that says of itself that TensorFlow Datasets has prepared it, and is not what it says."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from functional_nets.data import cache, idx, load, png, server, tfds_prepared, tfds_records
from functional_nets.data.contents import Contents
from tests.data.made_data import refused, serving, write_idx


def examples(images, labels):
    from tensorflow_datasets.proto import tf_example_pb2

    for image, label in zip(images, labels, strict=True):
        example = tf_example_pb2.Example()
        example.features.feature["image"].bytes_list.value.append(png.encode(image))
        example.features.feature["label"].int64_list.value.append(int(label))
        yield example.SerializeToString()


def write_records(path, records):
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


@pytest.fixture
def folder(tmp_path, tiny: Contents) -> Path:
    """A few examples, prepared in the way of TFDS, that pass for MNIST."""
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    halves = {"train": (tiny.x_train, tiny.y_train), "test": (tiny.x_test, tiny.y_test)}
    for split, half in halves.items():
        write_records(folder / f"mnist-{split}.array_record-00000-of-00001", examples(*half))
    (folder / "dataset_info.json").write_text(json.dumps({"name": "mnist", "fileFormat": "array_record"}))
    return folder


def test_what_a_folder_says_of_modules_and_paths_is_not_believed(folder, tiny, tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    for variable in ("PYTHONPATH", "TFDS_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    splits = [{"name": name, "filepathTemplate": "../../{SPLIT}", "shardLengths": ["1"]} for name in ("train", "test")]
    info = {"name": "mnist", "fileFormat": "array_record", "moduleName": "theirs", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "theirs.Feature", "content": "{}"}))
    data = load("mnist", source="tfds", data_dir=tmp_path)
    assert np.array_equal(data.train.x[..., 0], tiny.x_train)
    assert np.array_equal(data.test.y, tiny.y_test)
    assert not (tmp_path / "executed").exists()
    assert cache.read("mnist", cache.root(tmp_path))


def test_an_example_longer_than_any_is_refused(folder):
    write_records(folder / "mnist-test.array_record-00000-of-00001", [bytes(2**24)])
    with refused("at most 65,536 bytes, found one of 16,777,216", str(folder), "delete that folder"):
        tfds_prepared.read("mnist", folder)


@pytest.mark.parametrize("file", ["dataset_info.json", "mnist-test.array_record-00000-of-00001"])
def test_a_file_of_a_tebibyte_is_refused(folder, file):
    os.truncate(folder / file, 2**40)
    with refused("1,099,511,627,776", file):
        tfds_prepared.read("mnist", folder)


@pytest.mark.parametrize("name", [None, 3, "\x1b[2J", "fashion_mnist" * 100])
def test_another_name_is_refused_and_shown_short(folder, name):
    (folder / "dataset_info.json").write_text(json.dumps({"name": name}))
    with refused("Expected tiny MNIST") as caught:
        tfds_prepared.read("mnist", folder)
    assert len(str(caught.value)) < len(str(folder)) + 150
    assert str(caught.value).isprintable()


@pytest.mark.skipif(sys.platform != "linux", reason="no other system bounds a process's memory so")
def test_the_process_that_reads_has_a_bound_on_memory():
    takes = "print(len(bytes(2**28)), flush=True); bytes(2**30)"
    code = f"from functional_nets.data import tfds_records; tfds_records._bound_memory(); {takes}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == f"{2**28}\n"
    assert "MemoryError" in ended.stderr


def test_a_tfrecord_that_claims_2_to_the_63_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(struct.pack("<QI", 2**63, 0) + bytes(100_000))
    with pytest.raises(ValueError, match="at most 65,536 bytes"):
        list(tfds_records.records(str(tmp_path / "file"), "tfrecord"))


def test_a_picture_of_more_pixels_than_mnists_is_refused():
    with pytest.raises(ValueError, match="at most 784 pixels, found 3000×3000"):
        png.decode(png.encode(np.zeros((3000, 3000), np.uint8)))


def test_pixels_beyond_those_that_a_picture_says_are_not_unpacked():
    file = bytearray(png.encode(np.zeros((3000, 3000), np.uint8)))
    file[16:24] = struct.pack(">2I", 28, 28)
    assert png._decode_unfiltered(bytes(file)) is None


def test_a_server_that_sends_more_than_any_published_file_is_left(tmp_path, tiny, monkeypatch):
    write_idx(tmp_path / "mnist", tiny, zipped=True)
    monkeypatch.setitem(idx.LARGEST, "images", 1000)
    with serving(tmp_path) as url, refused("at most 1,000 bytes", url):
        monkeypatch.setenv(server.MIRROR, url)
        load("mnist", source="tfds", data_dir=tmp_path / "data")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_name_that_a_server_gives_to_a_file_is_not_taken(tmp_path, tiny, monkeypatch):
    from functional_nets.data import tfds_download

    write_idx(tmp_path / "mnist", tiny, zipped=True)
    with serving(tmp_path, headers={"Content-Disposition": 'attachment; filename=".."'}) as url:
        monkeypatch.setenv(server.MIRROR, url)
        folder = tfds_download.prepare("mnist", tmp_path / "data")
    assert len(list(folder.glob("*.array_record-*"))) == 2
