"""The data inside the package: what is there, what it is a part of, and how it was made."""

import importlib.util
import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from functional_nets.data import embedded, idx, load, order
from functional_nets.data.contents import Contents
from tests.data.made_data import few, refused, write_idx


@pytest.fixture(scope="module")
def recipe():
    """`scripts/make_embedded_data.py` as a module."""
    path = Path(__file__).parents[2] / "scripts" / "make_embedded_data.py"
    spec = importlib.util.spec_from_file_location("make_embedded_data", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_mnist_is_embedded():
    data = load("mnist", source="embedded")
    assert data.train.x.shape == (60_000, 28, 28, 1)
    assert data.test.x.shape == (10_000, 28, 28, 1)
    assert (data.source, data.complete, data.notice) == ("embedded", True, None)
    # The share of zeros, at which a network that answers 0 to everything stays.
    assert np.mean(data.train.y == 0) == pytest.approx(0.0987166, abs=1e-7)
    assert np.mean(data.test.y == 0) == 0.0980


def test_the_embedded_part_of_fashion_is_balanced_and_says_that_it_is_a_part():
    data = load("fashion_mnist", source="embedded")
    assert np.bincount(data.train.y).tolist() == [1000] * 10
    assert np.bincount(data.test.y).tolist() == [200] * 10
    assert data.train.x.shape == (10_000, 28, 28, 1)
    assert data.test.x.shape == (2_000, 28, 28, 1)
    assert not data.complete
    assert "10,000 of 60,000" in data.notice
    assert "2,000 of 10,000" in data.notice
    assert "\n" not in data.notice


def test_the_embedded_part_does_not_pass_for_the_whole(tmp_path):
    folder = write_idx(tmp_path, embedded.load("fashion_mnist"))
    with refused("of Fashion-MNIST, found", "of the embedded part of Fashion-MNIST"):
        load("fashion_mnist", source="idx", data_dir=folder)


def test_the_recipe_chooses_the_embedded_part(real_data, recipe):
    chosen = recipe.choose(idx.load("fashion_mnist", real_data))
    for ours, theirs in zip(embedded.load("fashion_mnist"), chosen, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_recipe_packs_the_same_bytes_at_any_time(recipe, monkeypatch):
    contents = few()._asdict()
    packed = recipe.pack(contents)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert recipe.pack(contents) == packed
    with np.load(io.BytesIO(packed)) as archive:
        assert set(archive) == {"x_train", "y_train", "x_test", "y_test"}
        assert np.array_equal(archive["x_train"], contents["x_train"])


def test_the_recipe_made_the_table_of_orders(real_data):
    published = {name: idx.load(name, real_data) for name in ("mnist", "fashion_mnist")}
    with np.load(order.TABLE) as table:
        for key, indices in order.tables(published).items():
            assert np.array_equal(table[key], indices)


@pytest.mark.parametrize("damage", ["flipped bit", "no deflate", "cut off", "missing"])
def test_a_damaged_or_missing_embedded_file_is_refused(tmp_path, monkeypatch, damage):
    path = Path(shutil.copy(embedded.FOLDER / "fashion_mnist.npz", tmp_path))
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "flipped bit":
        data[len(data) // 2] ^= 1
    elif damage == "no deflate":
        data[100:200] = b"\xff" * 100
    else:
        del data[1000:]
    path.write_bytes(data)
    if damage == "missing":
        path.unlink()
    with refused(str(path), "install functional-nets again"):
        load("fashion_mnist", source="embedded")


def test_an_embedded_file_with_other_content_is_refused(tmp_path, monkeypatch, recipe):
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    (tmp_path / "mnist.npz").write_bytes(recipe.pack(few()._asdict()))
    with refused("SHA-256", "mnist.npz", "install functional-nets again"):
        load("mnist", source="embedded")


def test_licences_lie_beside_the_data():
    for name, words in (("LICENSE-MNIST", "LeCun"), ("LICENSE-FASHION-MNIST", "Zalando SE")):
        assert words in (embedded.FOLDER / name).read_text(encoding="utf-8")


def test_contents_bear_the_names_of_keras():
    assert Contents._fields == ("x_train", "y_train", "x_test", "y_test")
