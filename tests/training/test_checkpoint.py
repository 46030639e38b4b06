"""Checkpoints: what comes back is what was saved, or an error; a damaged file gives way to the one before."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from functional_nets.training import CheckpointError, TrainState, load_checkpoint, save_checkpoint

RUN = {"experiment": "mnist", "learning_rate": 0.1, "data_dir": None}


def state_at(step):
    """A state of several types and shapes, among them an empty one and a NaN, that tells its step."""
    params = {"w": np.full((2, 3), step, np.float32), "b": np.array([np.nan, -0.0, 1e-40], np.float32)}
    velocity = {"w": np.zeros((2, 3), np.float16), "b": np.zeros((0, 3), np.float32)}
    return TrainState(params, (optax.TraceState(velocity), optax.EmptyState()), np.asarray(step, np.int32))


LIKE = state_at(0)


def save(folder, *steps):
    return [save_checkpoint(folder, state_at(step), RUN) for step in steps]


def assert_step(state, step):
    expected = state_at(step)
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        assert (a.dtype, a.shape, np.asarray(a).tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_a_state_comes_back_bit_for_bit(tmp_path):
    save(tmp_path / "new" / "folder", 5)
    assert_step(load_checkpoint(tmp_path / "new" / "folder", LIKE, RUN), 5)


def test_the_newest_of_several_comes_back_and_only_two_are_kept(tmp_path):
    save(tmp_path, 5, 90, 1000)
    assert sorted(os.listdir(tmp_path)) == ["step_000000090.npz", "step_000001000.npz"]
    assert_step(load_checkpoint(tmp_path, LIKE, RUN), 1000)


@pytest.mark.parametrize("kept", [0, 1, 32, 100, -100, -32, -1])
def test_a_truncated_file_gives_way_to_the_one_before(tmp_path, kept):
    _, newest = save(tmp_path, 5, 6)
    newest.write_bytes(newest.read_bytes()[:kept])
    assert_step(load_checkpoint(tmp_path, LIKE, RUN), 5)


def test_a_missing_file_gives_way_to_the_one_before(tmp_path):
    _, newest = save(tmp_path, 5, 6)
    newest.unlink()
    assert_step(load_checkpoint(tmp_path, LIKE, RUN), 5)


def test_a_corrupt_byte_anywhere_makes_the_file_give_way_to_the_one_before(tmp_path):
    _, newest = save(tmp_path, 5, 6)
    whole = newest.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        newest.write_bytes(damaged)
        assert_step(load_checkpoint(tmp_path, LIKE, RUN), 5)


def test_numpy_can_read_a_checkpoint(tmp_path):
    (path,) = save(tmp_path, 5)
    with np.load(path) as file:
        np.testing.assert_array_equal(file["leaf_1"], np.full((2, 3), 5))
        assert json.loads(str(file["about"])) == {"run": RUN}


def test_a_file_of_something_else_gives_way(tmp_path):
    save(tmp_path, 5)
    np.savez(tmp_path / "step_000000006.npz", leaf_0=np.zeros(3))
    np.savez(tmp_path / "step_000000007.npz", about="[]", leaf_0=np.zeros(3))
    (tmp_path / "step_000000008.npz").mkdir()
    assert_step(load_checkpoint(tmp_path, LIKE, RUN), 5)


@pytest.mark.parametrize("fault", ["os.fsync", "Path.replace"])
def test_a_crash_while_writing_leaves_the_one_before_whole(tmp_path, monkeypatch, fault):
    save(tmp_path, 5)

    def crash(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(*((os, "fsync") if fault == "os.fsync" else (Path, "replace")), crash)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 6)
    assert [path.name for path in tmp_path.glob("*.npz")] == ["step_000000005.npz"]
    assert_step(load_checkpoint(tmp_path, LIKE, RUN), 5)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is flushed")
def test_a_file_and_then_its_folder_are_flushed_to_the_disk(tmp_path, monkeypatch):
    flushed = []
    right_fsync = os.fsync

    def fsync(descriptor):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        right_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save(tmp_path, 5)
    assert flushed == ["step_000000005.partial", tmp_path.name]


def test_without_a_whole_checkpoint_the_error_names_the_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="Expected a checkpoint to resume") as error:
            load_checkpoint(folder, LIKE, RUN)
        assert str(folder) in str(error.value)
    save(tmp_path, 5)[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match="found none whole"):
        load_checkpoint(tmp_path, LIKE, RUN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.2}, "Expected a checkpoint with learning_rate = 0.2, found 0.1"),
        ({"experiment": "lenet"}, "Expected a checkpoint with experiment = lenet, found mnist"),
        ({"hidden": 50}, "Expected a checkpoint with hidden = 50, found None"),
    ],
)
def test_a_checkpoint_of_other_options_is_refused_and_the_option_named(tmp_path, change, message):
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path, LIKE, {**RUN, **change})


@pytest.mark.parametrize(
    "like",
    [
        LIKE._replace(params={**LIKE.params, "w": np.zeros((3, 2), np.float32)}),
        LIKE._replace(params={**LIKE.params, "w": np.zeros((2, 3), np.float64)}),
        LIKE._replace(params={"w": LIKE.params["w"]}),
        LIKE._replace(params={**LIKE.params, "c": np.zeros(3, np.float32)}),
    ],
    ids=["shape", "type", "a leaf less", "a leaf more"],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, like):
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match="Expected a state of this model and optimizer, found another"):
        load_checkpoint(tmp_path, like, RUN)
