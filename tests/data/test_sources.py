"""`load`: which source it takes, and that it does not matter which."""

import subprocess
import sys

import pytest

from functional_nets.data import SOURCES, DataError, cache, idx, load, server, tfds_source
from tests.data.made_data import few, refused, same, write_idx


@pytest.fixture
def no_network(monkeypatch):
    """Fails the test as soon as anything asks for a server."""

    def ask(file):
        raise AssertionError(f"asked for {file}")

    monkeypatch.setattr(server, "_ask_in_time", ask)


@pytest.mark.parametrize("name", ["cifar10", "MNIST", "", "fashion-mnist"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with refused("mnist, fashion_mnist", repr(name)):
        load(name)


def test_an_unknown_source_is_refused_with_the_known_ones():
    with refused("auto, embedded, idx, tfds", "'torch'"):
        load("mnist", source="torch")


def test_every_source_gives_the_same_bytes_in_the_same_order(tmp_path, mnist):
    # What "tfds" reads here is its cached copy; that a download gives the same is in test_tfds.py.
    write_idx(tmp_path / "mnist", mnist)
    cache.write("mnist", cache.root(tmp_path), mnist)
    loaded = {source: load("mnist", source=source, data_dir=tmp_path) for source in SOURCES}
    assert {source: data.source for source, data in loaded.items()} == {
        "auto": "idx",
        "embedded": "embedded",
        "idx": "idx",
        "tfds": "tfds",
    }
    assert all(same(data, loaded["embedded"]) for data in loaded.values())


@pytest.mark.usefixtures("no_network")
def test_auto_needs_nothing_for_mnist():
    assert load("mnist").source == "embedded"


@pytest.mark.usefixtures("no_network")
def test_auto_prefers_the_cached_copy_and_idx_files_to_that(tmp_path, tiny, monkeypatch):
    cache.write("mnist", cache.root(None), tiny)
    assert load("mnist").source == "tfds"
    write_idx(tmp_path / "mnist", tiny)
    monkeypatch.setenv(idx.ENVIRONMENT, str(tmp_path))
    assert load("mnist").source == "idx"


@pytest.mark.usefixtures("no_network")
def test_auto_passes_over_an_environment_without_files_but_not_over_broken_ones(tmp_path, monkeypatch):
    monkeypatch.setenv(idx.ENVIRONMENT, str(tmp_path))
    assert load("mnist").source == "embedded"
    write_idx(tmp_path / "mnist", few())
    with refused("MNIST", "SHA-256"):
        load("mnist")


@pytest.mark.usefixtures("no_network")
def test_auto_falls_back_on_nothing_when_a_folder_is_named(tmp_path):
    (tmp_path / "fashion_mnist").mkdir()
    for name in ("mnist", "fashion_mnist"):
        with refused("none of them", str(tmp_path)):
            load(name, data_dir=tmp_path)


def test_auto_without_a_network_ends_at_the_part_and_says_why():
    data = load("fashion_mnist")
    assert (data.source, data.complete) == ("embedded", False)
    assert "ONLY A PART" in data.notice
    assert "no connection" in data.notice
    assert "\n" not in data.notice


def test_auto_reads_a_data_set_that_tfds_prepared_in_the_named_folder(tmp_path, monkeypatch, tiny):
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    (tmp_path / "mnist" / "3.0.1" / "dataset_info.json").touch()
    monkeypatch.setattr(tfds_source, "load", lambda name, data_dir: tiny)
    assert load("mnist", data_dir=tmp_path).source == "tfds"


def test_a_folder_may_be_given_as_text_and_with_a_tilde(tmp_path, tiny, monkeypatch):
    write_idx(tmp_path / "data", tiny)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("mnist", data_dir="~/data").source == "idx"


def test_nothing_large_is_imported_to_load_embedded_data():
    code = (
        "import sys, functional_nets.data as data; data.load('mnist')\n"
        "print(*{'jax', 'tensorflow', 'tensorflow_datasets', 'requests', 'PIL'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_a_data_error_shows_no_second_line():
    with pytest.raises(DataError) as caught:
        load("no\nsuch")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["auto", "idx", "tfds"])
def test_a_folder_whose_name_no_system_allows_is_refused(tmp_path, source):
    with refused("too long", "--data-dir"):
        load("mnist", source=source, data_dir=tmp_path / ("long" * 100))
