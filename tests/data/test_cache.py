"""The cached copy: all or nothing, verified, and never in the way."""

import os
from pathlib import Path

import numpy as np
import pytest

from functional_nets.data import cache


def test_what_is_written_is_read(tmp_path, tiny):
    cache.write("mnist", tmp_path / "new" / "folder", tiny)
    again = cache.read("mnist", tmp_path / "new" / "folder")
    assert all(np.array_equal(one, other) for one, other in zip(again, tiny, strict=True))


def test_an_absent_copy_is_none(tmp_path):
    assert cache.read("mnist", tmp_path) is None


@pytest.mark.parametrize("damage", ["cut off", "flipped bit", "empty", "another set"])
def test_a_damaged_copy_is_warned_of_removed_and_not_used(tmp_path, tiny, damage):
    cache.write("mnist", tmp_path, tiny)
    path = cache.path("mnist", tmp_path)
    if damage == "another set":
        path = path.rename(cache.path("fashion_mnist", tmp_path))
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes({"cut off": data[:-1000], "flipped bit": data, "empty": b""}[damage])
    with pytest.warns(UserWarning, match="damaged and not used"):
        assert cache.read(path.stem, tmp_path) is None
    assert not path.exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_a_stopped_write_leaves_nothing(tmp_path, tiny, monkeypatch, stop):
    def savez(file, **arrays):
        file.write(b"half of it")
        raise stop

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(stop):
        cache.write("mnist", tmp_path, tiny)
    assert not list(tmp_path.iterdir())


def test_what_is_being_written_is_private_and_what_is_written_is_as_the_umask_says(tmp_path, tiny, monkeypatch):
    modes = []
    savez = np.savez

    def watched(file, **arrays):
        modes.append(Path(file.name).parent.stat().st_mode & 0o777)
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", watched)
    before = os.umask(0o027)
    try:
        cache.write("mnist", tmp_path, tiny)
    finally:
        os.umask(before)
    assert modes == [0o700]
    assert cache.path("mnist", tmp_path).stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


def test_a_full_disk_is_warned_of_and_leaves_the_old_copy(tmp_path, tiny, monkeypatch):
    cache.write("mnist", tmp_path, tiny)

    def savez(file, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.warns(UserWarning, match="No space left"):
        cache.write("mnist", tmp_path, tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]
    assert cache.read("mnist", tmp_path)


def test_a_folder_that_cannot_be_made_is_warned_of(tmp_path, tiny):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be cached"):
        cache.write("mnist", tmp_path / "file", tiny)


def test_the_users_cache_folder_is_named_by_the_environment(tmp_path, monkeypatch):
    assert cache.root(None) == tmp_path / "cache" / "functional_nets"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(cache.root(None)) == "/home/somebody/.cache/functional_nets"
    assert cache.root(tmp_path) == tmp_path / "functional_nets"
