"""TensorFlow Datasets: a real download, prepared and read, and the ways in which it can fail. No network."""

import fcntl
import json
import os
import shutil
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from functional_nets.data import cache, load, order, server, tfds_records, tfds_source
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import FILES
from tests.data.made_data import refused, same, serving, write_idx

VERSION = "3.0.1"


@pytest.fixture(scope="session")
def published(tmp_path_factory, request) -> Path:
    """A folder with the gzipped files of MNIST: the published ones, or the same made of the embedded data."""
    try:
        return request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        folder = tmp_path_factory.mktemp("published")
        write_idx(folder / "mnist", request.getfixturevalue("mnist"), zipped=True)
        return folder


@pytest.fixture(scope="session")
def downloaded(tmp_path_factory, published) -> Path:
    """A `data_dir` into which MNIST was downloaded from loopback: once, though many processes test."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "downloaded"
    with (base / "downloaded.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "requests.json").exists():
            requests: list[str] = []
            with serving(published, requests) as url:
                patch.setenv(server.MIRROR, url)
                load("mnist", source="tfds", data_dir=folder)
            (folder / "requests.json").write_text(json.dumps(requests))
    return folder


@pytest.fixture
def offline(downloaded, tmp_path) -> Path:
    """A folder with what TFDS prepared, as TFDS lays it out, and nothing else. The server is gone."""
    shutil.copytree(downloaded / "functional_nets" / "mnist" / VERSION, tmp_path / "mnist" / VERSION)
    return tmp_path


def test_a_download_is_prepared_read_and_the_same_as_the_published_files(downloaded, published):
    requests = json.loads((downloaded / "requests.json").read_text())
    assert sorted(request for request in requests if request.startswith("GET")) == sorted(
        f"GET /mnist/{file}.gz" for file in FILES
    )
    data = load("mnist", source="tfds", data_dir=downloaded)
    assert (data.source, data.complete, data.notice) == ("tfds", True, None)
    assert same(data, load("mnist", source="idx", data_dir=published))


def test_a_download_leaves_what_was_prepared_and_the_cached_copy(downloaded):
    left = sorted(path.name for path in (downloaded / "functional_nets").iterdir())
    assert left == ["mnist", "mnist.npz"]
    assert [path.name for path in (downloaded / "functional_nets" / "mnist").iterdir()] == [VERSION]


def test_the_second_load_takes_the_cached_copy_and_is_quick(downloaded, monkeypatch):
    monkeypatch.setattr(tfds_source, "prepared", lambda name, data_dir: pytest.fail("not cached"))
    start = time.process_time()  # Of this process alone, whatever else the machine does.
    load("mnist", source="tfds", data_dir=downloaded)
    assert time.process_time() - start < 1


@pytest.mark.long
def test_a_prepared_folder_is_read_without_a_network_and_then_cached(offline, mnist):
    data = load("mnist", source="auto", data_dir=offline)
    assert data.source == "tfds"
    assert same(data, load("mnist", source="embedded"))
    cached = cache.read("mnist", cache.root(offline))
    assert all(np.array_equal(one, other) for one, other in zip(cached, mnist, strict=True))


def test_a_damaged_cached_copy_is_made_again_from_the_prepared_files(offline, monkeypatch, mnist):
    path = cache.path("mnist", cache.root(offline))
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    # Reading them is the test above; it takes seconds.
    monkeypatch.setattr("functional_nets.data.tfds_prepared.read", lambda name, folder: mnist)
    with pytest.warns(UserWarning, match="damaged"):
        load("mnist", source="tfds", data_dir=offline)
    assert cache.read("mnist", cache.root(offline))


def test_the_folder_of_tfds_is_the_one_that_it_uses_itself(offline, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(offline))
    assert tfds_source.prepared("mnist", None) == offline / "mnist" / VERSION
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(offline))
    assert tfds_source.prepared("mnist", None) is None
    (offline / "mnist").rename(offline / "tensorflow_datasets")
    (offline / "tensorflow_datasets").rename(offline / "elsewhere")
    (offline / "tensorflow_datasets").mkdir()
    (offline / "elsewhere").rename(offline / "tensorflow_datasets" / "mnist")
    assert tfds_source.prepared("mnist", None) == offline / "tensorflow_datasets" / "mnist" / VERSION


def test_a_folder_that_tfds_left_incomplete_is_not_taken(offline):
    (offline / "mnist" / VERSION).rename(offline / "mnist" / f"incomplete.ABC_{VERSION}")
    assert tfds_source.prepared("mnist", offline) is None


def test_plain_tfds_reads_what_was_prepared(offline, mnist):
    tfds = pytest.importorskip("tensorflow_datasets")
    info = tfds.builder_from_directory(offline / "mnist" / VERSION).info
    assert (info.full_name, info.splits["train"].num_examples) == (f"mnist/{VERSION}", 60_000)
    source = tfds.data_source("mnist", split="test", data_dir=offline)
    example = source[0]
    matches = (mnist.x_test == example["image"][..., 0]).all(axis=(1, 2))
    assert mnist.y_test[matches].tolist() == [example["label"]]


def test_tfrecord_files_are_read_without_tensorflow(offline, tmp_path):
    (array_record,) = (offline / "mnist" / VERSION).glob("*-test.array_record-*")
    examples = list(tfds_records.records(str(array_record), "array_record"))
    assert len(examples) == 10_000
    tfrecord = tmp_path / "test.tfrecord"
    tfrecord.write_bytes(b"".join(struct.pack("<QI", len(example), 0) + example + bytes(4) for example in examples))
    assert list(tfds_records.records(str(tfrecord), "tfrecord")) == examples


def test_a_format_that_takes_tensorflow_is_refused(offline):
    info = offline / "mnist" / VERSION / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"riegeli"'))
    with refused("array_record or tfrecord", "riegeli"):
        load("mnist", source="tfds", data_dir=offline)


@pytest.mark.parametrize("damage", ["no info", "cut off", "flipped bit", "no file"])
def test_damaged_prepared_files_are_refused_with_their_folder(offline, damage):
    folder = offline / "mnist" / VERSION
    (file,) = folder.glob("*-train.array_record-*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "no info":
        (folder / "dataset_info.json").write_text("{")
    elif damage == "no file":
        file.unlink()
    else:
        file.write_bytes(data if damage == "flipped bit" else data[: len(data) // 2])
    with refused(str(folder), "delete that folder"):
        load("mnist", source="tfds", data_dir=offline)


def test_mnist_prepared_under_the_name_of_fashion_is_named(offline):
    (offline / "mnist").rename(offline / "fashion_mnist")
    with refused("Expected Fashion-MNIST", "found mnist"):
        load("fashion_mnist", source="tfds", data_dir=offline)


def test_the_usual_server_is_that_of_tfds_which_knows_the_checksums():
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    for name in KNOWN:
        assert server._USUAL[name] == tfds.builder_cls(name).URL
        for file in FILES:
            assert f"{server._USUAL[name]}{file}.gz" in checksums.get_all_url_infos()


def test_tfds_refuses_a_file_with_another_checksum(tmp_path, published, monkeypatch):
    from tensorflow_datasets.core.download import checksums

    with serving(published) as url:
        monkeypatch.setenv(server.MIRROR, url)
        wrong = checksums.UrlInfo(size=1, checksum="0" * 64, filename=f"{FILES[1]}.gz")
        known = {f"{url}/mnist/{FILES[1]}.gz": wrong}
        monkeypatch.setattr(checksums, "get_all_url_infos", lambda: known)
        with refused("NonMatchingChecksumError", FILES[1]):
            load("mnist", source="tfds", data_dir=tmp_path)
    assert not list(tmp_path.glob("functional_nets/*/*.*"))


@pytest.mark.parametrize("fault", ["other content", "missing", "html"])
def test_a_server_with_something_else_is_refused_and_nothing_is_kept(tmp_path, tiny, fault, monkeypatch):
    changed = tiny._replace(y_train=tiny.y_train[::-1]) if fault == "other content" else tiny
    folder = write_idx(tmp_path / "server" / "mnist", changed, zipped=True)
    if fault == "missing":
        (folder / f"{FILES[0]}.gz").unlink()
    elif fault == "html":
        (folder / f"{FILES[0]}.gz").write_text("<html>")
    with serving(folder.parent) as url:
        monkeypatch.setenv(server.MIRROR, url)
        with refused({"other content": FILES[1], "missing": "404", "html": "magic number"}[fault]):
            load("mnist", source="tfds", data_dir=tmp_path / "data")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_server_without_the_files_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as url:
        monkeypatch.setenv(server.MIRROR, url)
        with refused("MNIST", "404", "--data-dir"):
            load("mnist", source="tfds", data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_no_server_is_an_error_within_seconds(tmp_path, monkeypatch):
    with refused("no connection", "http://127.0.0.1:1/mnist/"):
        load("mnist", source="tfds", data_dir=tmp_path)
    monkeypatch.setenv(server.MIRROR, "not a url")
    with refused("not a url"):
        load("mnist", source="tfds", data_dir=tmp_path)


def test_a_server_or_a_resolver_that_says_nothing_is_an_error_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv(server.MIRROR, f"http://127.0.0.1:{mute.getsockname()[1]}")
        with refused("no answer within 0.2 seconds"):
            load("mnist", source="tfds", data_dir=tmp_path)
    over = threading.Event()
    monkeypatch.setattr(server, "_ask", lambda file: over.wait(60))
    start = time.perf_counter()
    with refused("no answer within 0.4 seconds"):
        load("mnist", source="tfds", data_dir=tmp_path)
    assert time.perf_counter() - start < 30
    over.set()


def test_a_download_that_stands_still_is_given_up(tmp_path, published, monkeypatch):
    from functional_nets.data import tfds_download

    monkeypatch.setattr(tfds_download, "STALL_SECONDS", 0.1)
    with serving(published, stalled=True) as url:
        monkeypatch.setenv(server.MIRROR, url)
        with refused("timed out"):
            load("mnist", source="tfds", data_dir=tmp_path)


def test_auto_downloads_what_is_not_embedded_whole(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(KNOWN, "fashion_mnist", KNOWN["mnist"])
    monkeypatch.setattr(order, "TABLE", tmp_path / "order.npz")
    np.savez(order.TABLE, **order.tables({"fashion_mnist": tiny}))
    write_idx(tmp_path / "fashion_mnist", tiny, zipped=True)
    with serving(tmp_path) as url:
        monkeypatch.setenv(server.MIRROR, url)
        data = load("fashion_mnist")
    assert (data.source, data.complete, data.notice) == ("tfds", True, None)
    assert np.array_equal(data.train.x[..., 0], tiny.x_train)
    assert cache.read("fashion_mnist", cache.root(None))


def test_a_folder_that_another_process_prepared_meanwhile_is_taken(tmp_path, tiny, monkeypatch):
    from functional_nets.data import tfds_download

    def renamed_too_late(builder, **options):
        Path(builder.data_dir).mkdir(parents=True)
        (Path(builder.data_dir) / "dataset_info.json").touch()
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", renamed_too_late)
    assert tfds_download.prepare("mnist", tmp_path) == tmp_path / "mnist" / VERSION


def test_nothing_of_tfds_stays_changed_and_nothing_is_printed(monkeypatch, capsys):
    from tensorflow_datasets.core.download import downloader
    from tensorflow_datasets.core.utils import tqdm_utils

    from functional_nets.data import tfds_download

    monkeypatch.setattr(tqdm_utils, "_active", True)
    before = downloader._open_with_requests, downloader.MAX_RETRIES, tqdm_utils._active
    with tfds_download._bounds(), tfds_download._progress():
        assert downloader._open_with_requests is not before[0]
        assert not tqdm_utils._active  # Nobody watches a test.
        print("TFDS speaks")
    assert (downloader._open_with_requests, downloader.MAX_RETRIES, tqdm_utils._active) == before
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, published, monkeypatch):
    (tmp_path / "file").touch()
    with serving(published) as url:
        monkeypatch.setenv(server.MIRROR, url)
        with refused(str(tmp_path / "file")):
            load("mnist", source="tfds", data_dir=tmp_path / "file")


@pytest.mark.parametrize("prepared", [True, False])
def test_without_tfds_the_error_says_so(offline, tmp_path, published, prepared, monkeypatch):
    import sys

    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tensorflow_datasets.py").write_text("import no_such_module")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))  # For the process that reads.
    monkeypatch.setitem(sys.modules, "functional_nets.data.tfds_download", None)
    monkeypatch.delattr("functional_nets.data.tfds_download", raising=False)
    with serving(published) as url, refused("install functional-nets again"):
        monkeypatch.setenv(server.MIRROR, url)
        load("mnist", source="tfds", data_dir=offline if prepared else tmp_path / "new")
