"""Checkpoints: what comes back is what was saved, or an error; a damaged file gives way to the one before."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from functional_nets.training import CheckpointError, Snapshot, TrainState, load_checkpoint, save_checkpoint
from functional_nets.training.checkpoint.file import check_whole, pack, unpack
from tests.hostile import checkpoints as hostile

CONTRACT = {"experiment": "mnist", "learning_rate": 0.1, "jax": "0.10.1"}
ABOUT = {"contract": CONTRACT, "metrics_bytes": 17, "best": {"step": 3, "test_accuracy": 0.5}}


def state_at(step):
    """A state of several types and shapes, among them an empty one and a NaN, that tells its step."""
    params = {"w": np.full((2, 3), step, np.float32), "b": np.array([np.nan, -0.0, 1e-40], np.float32)}
    velocity = {"w": np.zeros((2, 3), jnp.bfloat16), "b": np.zeros((0, 3), np.float16)}
    return TrainState(params, (optax.TraceState(velocity), optax.EmptyState()), np.asarray(step, np.int32))


def snapshot_at(step):
    return Snapshot(state_at(step), np.array([0.5, np.nan, step], np.float32), seconds=1.5, skipped=1)


LIKE = state_at(0)


def save(folder, *steps, **options):
    return [save_checkpoint(folder, snapshot_at(step), ABOUT, **options) for step in steps]


def load(folder, contract=CONTRACT, **options):
    return load_checkpoint(folder, LIKE, contract, **options)


def assert_step(found, step):
    expected = snapshot_at(step)
    assert jax.tree.structure(found.snapshot) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found.snapshot), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_a_snapshot_comes_back_bit_for_bit_with_what_was_said_about_it(tmp_path):
    save(tmp_path / "new" / "folder", 5)
    found = load(tmp_path / "new" / "folder")
    assert_step(found, 5)
    assert {name: found.about[name] for name in ABOUT} == ABOUT
    assert found.notices == []


def test_a_key_of_random_numbers_comes_back_as_one(tmp_path):
    like = TrainState({"w": np.zeros(2)}, {"key": jax.random.key(3, impl="rbg")}, np.asarray(0, np.int32))
    save_checkpoint(tmp_path, Snapshot(like, np.empty(0, np.float32)), ABOUT)
    key = load_checkpoint(tmp_path, like).snapshot.state.opt_state["key"]
    assert key.dtype == like.opt_state["key"].dtype
    np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(like.opt_state["key"]))


def test_the_newest_of_several_comes_back_and_the_newest_two_and_the_spared_are_kept(tmp_path):
    save(tmp_path, 5, 7, 90, 1000, spare={7})
    assert sorted(os.listdir(tmp_path)) == [f"step_{step:09d}.safetensors" for step in (7, 90, 1000)]
    assert_step(load(tmp_path), 1000)


def test_as_many_are_kept_as_are_asked_for(tmp_path):
    save(tmp_path, 1, 2, 3, 4, 5, keep=4)
    assert len(os.listdir(tmp_path)) == 4
    save(tmp_path, 6, keep=1)
    assert os.listdir(tmp_path) == ["step_000000006.safetensors"]


def test_files_of_later_steps_are_neither_counted_nor_removed(tmp_path):
    save(tmp_path, 100, 200)
    save(tmp_path, 10, 20, 30)
    assert [path.name[-15:] for path in sorted(tmp_path.iterdir())] == [
        f"{step:03d}.safetensors" for step in (20, 30, 100, 200)
    ]


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, -100, -32, -1])
def test_a_truncated_file_gives_way_to_the_one_before_and_is_told_of(tmp_path, kept):
    _, newest = save(tmp_path, 5, 6)
    newest.write_bytes(newest.read_bytes()[:kept])
    found = load(tmp_path)
    assert_step(found, 5)
    assert "A damaged checkpoint was passed over (step_000000006.safetensors: it is" in found.notices[0]
    assert "goes on from step_000000005.safetensors" in found.notices[1]
    assert newest.exists()


def test_a_missing_file_gives_way_to_the_one_before(tmp_path):
    _, newest = save(tmp_path, 5, 6)
    newest.unlink()
    assert_step(load(tmp_path), 5)


def test_a_bit_flipped_anywhere_makes_the_file_give_way_to_the_one_before(tmp_path):
    whole = pack(snapshot_at(6), ABOUT)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(CheckpointError):
            check_whole(bytes(damaged))


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_file_is_refused_by_an_error_of_ours(data):
    whole = pack(snapshot_at(6), ABOUT)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=80)) + whole[end:]
    if damaged == whole:
        return
    with pytest.raises(CheckpointError):
        unpack(damaged, LIKE)


def test_other_programs_can_read_a_checkpoint(tmp_path):
    (path,) = save(tmp_path, 5)
    with safe_open(path, "numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("params/w"), np.full((2, 3), 5))
        assert set(file.keys()) == {
            "params/w",
            "params/b",
            "opt_state/0/trace/w",
            "opt_state/0/trace/b",
            "step",
            "losses",
        }
        assert json.loads(file.metadata()["about"])["contract"] == CONTRACT


def test_a_file_of_something_else_gives_way(tmp_path):
    save(tmp_path, 5)
    np.savez(tmp_path / "step_000000006.safetensors", leaf_0=np.zeros(3))
    (tmp_path / "step_000000007.safetensors").write_text("{}")
    (tmp_path / "step_000000008.safetensors").mkdir()
    assert_step(load(tmp_path), 5)


def test_a_file_larger_than_a_state_can_be_is_not_even_read(tmp_path):
    save(tmp_path, 5)
    with (tmp_path / "step_000000006.safetensors").open("wb") as stream:
        stream.truncate(2**40)  # Sparse: it takes no room.
    found = load(tmp_path)
    assert_step(found, 5)
    assert "found 1,099,511,627,776 in" in found.notices[0]


def test_a_name_in_a_file_does_nothing_to_the_terminal_that_shows_it(tmp_path):
    whole = pack(snapshot_at(6), ABOUT)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["\x1b[31m"] = header.pop("params/w") | {"data_offsets": [8, 4]}
    text = json.dumps(header, separators=(",", ":")).encode()
    spoilt = len(text).to_bytes(8, "little") + text + whole[8 + length :]
    (tmp_path / "step_000000006.safetensors").write_bytes(hostile.signed(spoilt))
    with pytest.raises(CheckpointError, match="invalid offset for tensor") as error:
        load(tmp_path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("fault", ["os.fsync", "os.replace"])
def test_a_failure_while_writing_leaves_the_one_before_and_nothing_else(tmp_path, monkeypatch, fault):
    save(tmp_path, 5)

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, fault.removeprefix("os."), fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 6)
    assert os.listdir(tmp_path) == ["step_000000005.safetensors"]
    assert_step(load(tmp_path), 5)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name what is flushed")
def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    done = []
    right_fsync, right_replace = os.fsync, os.replace

    def fsync(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        right_fsync(descriptor)

    def replace(old, new):
        done.append("renamed")
        right_replace(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    save(tmp_path, 5)
    assert done == ["step_000000005.safetensors.partial", "renamed", tmp_path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_file_has_the_permissions_that_the_user_gives_new_files(tmp_path):
    code = (
        "import os, sys, pathlib; os.umask(0o077); from functional_nets.training.checkpoint.writing import write_whole;"
        "write_whole(pathlib.Path(sys.argv[1]), b'x')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=True)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_without_a_whole_checkpoint_the_error_says_what_is_wrong_with_each_and_deletes_none(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="Expected a whole checkpoint to resume from") as error:
            load(folder)
        assert f"in {folder}, found none" in str(error.value)
    for path, content in zip(save(tmp_path, 5, 6), (b"", b"x" * 50), strict=True):
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load(tmp_path)
    assert "found step_000000006.safetensors: it is damaged" in str(error.value)
    assert "step_000000005.safetensors: it is empty" in str(error.value)
    assert len(os.listdir(tmp_path)) == 2


CHANGES = [
    ({"learning_rate": 0.2}, "learning_rate = 0.2, found 0.1"),
    ({"experiment": "lenet"}, "experiment = lenet, found mnist"),
    ({"hidden": 50}, "hidden = 50, found None"),
    ({"jax": "0.11.0"}, "jax = 0.11.0, found 0.10.1"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_checkpoint_of_another_contract_is_refused_and_the_difference_named(tmp_path, change, message):
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match=f"Expected a checkpoint with {message}"):
        load(tmp_path, {**CONTRACT, **change})


def test_another_contract_can_be_allowed_and_is_told_of(tmp_path):
    save(tmp_path, 5)
    found = load(tmp_path, {**CONTRACT, "jax": "0.11.0"}, allow_inexact=True)
    assert_step(found, 5)
    assert found.inexact == ["Going on inexactly: jax was 0.10.1 and is 0.11.0."]
    assert found.notices == found.inexact


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w": np.zeros((3, 2), np.float32)}, r"'params/w' is float32 \[2, 3\] where .* have float32 \[3, 2\]"),
        ({"w": np.zeros((2, 3), np.float64)}, r"'params/w' is float32 \[2, 3\] where .* have float64 \[2, 3\]"),
        ({"b": None}, "it has an array 'params/b'"),
        ({"c": np.zeros(3, np.float32)}, "it has no array 'params/c'"),
    ],
    ids=["shape", "type", "a leaf less", "a leaf more"],
)
def test_a_checkpoint_of_another_model_is_refused_and_the_array_named(tmp_path, params, message):
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path, LIKE._replace(params={**LIKE.params, **params}), CONTRACT)
