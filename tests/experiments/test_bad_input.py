"""A bad input ends with status 2 and one line: expected, found, what to do. Nothing is written or lost."""

import os
import struct

import numpy as np
import pytest

from experiments._folder import FILES
from functional_nets.data import contents as data_contents
from functional_nets.data.catalogue import KNOWN
from tests.experiments.conftest import contents

BAD_OPTIONS = [
    ("mnist", "--batch-size 0", "Expected --batch-size of at least 1, found 0"),
    ("mnist", "--batch-size -5", "Expected --batch-size of at least 1, found -5"),
    ("mnist", "--batch-size 201", "Expected --batch-size of at most 200"),
    ("xor", "--batch-size 5", "Expected --batch-size of at most 4"),
    ("mnist", "--batch-size 2.5", "Expected a whole number for --batch-size, found '2.5'"),
    ("mnist", "--learning-rate 0", "Expected --learning-rate above 0, found 0.0"),
    ("mnist", "--learning-rate -0.1", "Expected --learning-rate above 0, found -0.1"),
    ("mnist", "--learning-rate nan", "Expected --learning-rate above 0, found nan"),
    ("mnist", "--learning-rate inf", "Expected --learning-rate above 0, found inf"),
    ("mnist", "--learning-rate fast", "Expected a number for --learning-rate, found 'fast'"),
    ("mnist", "--epochs 0", "Expected --epochs of at least 1, found 0"),
    ("lenet", "--epochs -1", "Expected --epochs of at least 1, found -1"),
    ("fashion_mnist", "--epochs 0", "Expected --epochs of at least 1, found 0"),
    ("xor", "--steps 0", "Expected --steps of at least 1, found 0"),
    ("mnist", "--steps 0", "Expected --steps of at least 1, found 0"),
    ("mnist", "--epochs", "Expected a value after --epochs, found none"),
    ("mnist", "--hidden 0", "Expected --hidden of at least 1, found 0"),
    ("mnist", "--seed -1", "Expected --seed from 0 to 4294967295, found -1"),
    ("mnist", "--seed 4294967296", "Expected --seed from 0 to 4294967295, found 4294967296"),
    (
        "mnist",
        "--optimizer sdg",
        "Expected --optimizer to be one of sgd, momentum, adam, rmsprop, found 'sdg'",
    ),
    ("mnist", "--source disk", "Expected --source to be one of auto, embedded, idx, tfds, found 'disk'"),
    ("xor", "--source idx", "Expected --source auto or embedded"),
    ("mnist", "--precision float16", "Expected --precision to be one of float32, bfloat16, found 'float16'"),
    ("mnist", "--devices 99", "Expected a number of devices from 1 to 1, found 99"),
    ("mnist", "--devices 0", "Expected a number of devices from 1 to 1, found 0"),
    ("mnist", "--learning-rat 0.1", "Expected options of this experiment, found --learning-rat 0.1"),
    ("mnist", "0.1", "Expected options of this experiment, found 0.1"),
    ("mnist", "--no-gradient-check=yes", "Expected no value for --no-gradient-check, found 'yes'"),
    ("mnist", "--resume", "Expected --out with --resume, found none"),
    (
        "mnist",
        "--resume --out here",
        "Expected a whole checkpoint to resume from in here/checkpoints, found none",
    ),
    ("mnist", "--resume --overwrite --out here", "Expected --resume or --overwrite, found both"),
    ("xor", "--steps 200000000", "Expected at most 100,000 rows of metrics and 2,147,483,647 steps, found 200,000"),
    ("mnist", "--checkpoint-every 0", "Expected --checkpoint-every to be epoch, steps such as 500 or seconds"),
    ("mnist", "--checkpoint-every 5m", "Expected --checkpoint-every to be epoch, steps such as 500 or seconds"),
    ("mnist", "--keep-checkpoints 0", "Expected --keep-checkpoints of at least 1, found 0"),
    ("mnist", "--max-skipped 0", "Expected --max-skipped of at least 1, found 0"),
    ("mnist", "--on-nonfinite ignore", "Expected --on-nonfinite to be one of stop, skip, found 'ignore'"),
    ("reproduce", "--only 005", "Expected --only to be one of 000, 001, 002, 003, 004, found '005'"),
    ("reproduce", "--seeds 1", "Expected --seeds of at least 2, found 1"),
]


def assert_refused(ended, message):
    assert ended.status == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert message in line
    # "found" with a value, and after it what to do.
    assert any(mark in line.split("found", 1)[1] for mark in (":", ";")), line


@pytest.mark.parametrize(("name", "options", "message"), BAD_OPTIONS)
def test_a_bad_option_is_refused_before_anything_is_written(command, few_images, tmp_path, name, options, message):
    before = contents(tmp_path)
    assert_refused(command(name, *options.split()), message)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("held", [*FILES, "checkpoints"])
@pytest.mark.parametrize("name", ["mnist", "reproduce"])
def test_an_out_that_holds_a_run_is_refused_and_the_run_kept(command, few_images, tmp_path, name, held):
    out = tmp_path / "run"
    (out / held).mkdir(parents=True) if held == "checkpoints" else (
        out.mkdir(),
        (out / held).write_text("{}"),
    )
    before = contents(tmp_path)
    assert_refused(command(name, "--out", out), f"Expected --out to hold no run, found {held} in {out}")
    assert contents(tmp_path) == before


def test_an_out_below_a_regular_file_is_refused_and_the_file_kept(command, few_images, tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    for out in (file, file / "run", file / "deep" / "run"):
        assert_refused(
            command("mnist", "--out", out), f"Expected --out to be a folder that can be written, found {out}"
        )
    assert file.read_text() == "precious"


def test_an_out_without_write_permission_is_refused(command, few_images, tmp_path, monkeypatch):
    # Whoever is root may write anywhere, so the answer to the question is changed, not the permission.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    before = contents(tmp_path)
    ended = command("mnist", "--out", tmp_path / "new" / "run")
    assert_refused(ended, f"({tmp_path} is no folder or is read-only): choose another")
    assert contents(tmp_path) == before


def test_an_out_that_the_system_refuses_to_make_is_refused(command, few_images, tmp_path):
    ended = command("mnist", "--no-gradient-check", "--out", tmp_path / ("long" * 100))
    assert_refused(ended, "Expected --out to be a folder that can be written, found")


def test_resuming_with_another_option_is_refused_and_the_run_kept(command, tmp_path):
    common = ("xor", "--out", tmp_path / "run", "--no-gradient-check", "--steps")
    assert command(*common, 3).status == 0
    before = contents(tmp_path)
    for option, was, now in (("learning-rate", 0.5, 0.2), ("optimizer", "sgd", "adam"), ("batch-size", 4, 2)):
        ended = command(*common, 6, "--resume", f"--{option}", now)
        assert_refused(ended, f"Expected a checkpoint with {option.replace('-', '_')} = {now}, found {was}")
    assert contents(tmp_path) == before


def few_idx(images=6, labels=6, *, highest=9):
    """Images and labels as they are published, a few."""
    random = np.random.RandomState(0)
    y = np.full(labels, highest, np.uint8)
    return random.randint(0, 256, (images, 28, 28)).astype(np.uint8), y


def serialised(array):
    magic = 2051 if array.ndim == 3 else 2049
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


@pytest.fixture
def idx_folder(tmp_path, monkeypatch):
    """A folder of four small files that pass for MNIST, to be spoilt."""
    x, y = few_idx()
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, array in zip(data_contents.FILES, (x, y, x, y), strict=True):
        (folder / name).write_bytes(serialised(array))
    digests = tuple(data_contents.digest(array) for array in (x, y, x, y))
    monkeypatch.setitem(KNOWN, "mnist", KNOWN["mnist"]._replace(digests=digests))
    return folder


def test_the_small_files_are_read_when_nothing_is_spoilt(command, idx_folder, tmp_path):
    options = ("--data-dir", idx_folder.parent, "--batch-size", 3, "--steps", 1, "--no-gradient-check")
    ended = command("mnist", *options, "--out", tmp_path / "run")
    assert ended.status == 0, ended.err


def truncate(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def corrupt(folder):
    path = folder / "t10k-images-idx3-ubyte"
    spoilt = bytearray(path.read_bytes())
    spoilt[1000] ^= 1
    path.write_bytes(spoilt)


def wrong_magic(folder):
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(b"\x00\x00\x0d\x01" + path.read_bytes()[4:])


def labels_as_images(folder):
    (folder / "train-images-idx3-ubyte").write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())


def different_counts(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(serialised(few_idx(labels=5)[1]))


def labels_above_9(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(serialised(few_idx(highest=10)[1]))


def missing(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


def cut_gzip(folder):
    path = folder / "train-images-idx3-ubyte"
    path.with_suffix(".gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(20))
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "(truncated)"),
        (corrupt, "t10k-images-idx3-ubyte"),
        (wrong_magic, "Expected labels (IDX magic number 2049), found bytes 00 00 0d 01"),
        (labels_as_images, "Expected images (IDX magic number 2051), found labels (magic number 2049)"),
        (different_counts, "found 6 images in"),
        (labels_above_9, "Expected labels 0 to 9, found 10 in"),
        (missing, "Expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"),
        (empty, "found an empty folder"),
        (cut_gzip, "Expected a whole gzip file, found a truncated or corrupt one"),
    ],
)
def test_spoilt_data_are_refused_before_anything_is_written(command, idx_folder, tmp_path, spoil, message):
    spoil(idx_folder)
    before = contents(tmp_path)
    for source in ("auto", "idx"):
        options = ("--data-dir", idx_folder, "--source", source, "--batch-size", 3, "--out", tmp_path / "run")
        assert_refused(command("mnist", *options), message)
    assert contents(tmp_path) == before


def test_a_data_dir_that_is_not_there_is_refused(command, tmp_path):
    assert_refused(command("mnist", "--data-dir", tmp_path / "no"), f"found no folder {tmp_path / 'no'}")


def test_files_of_fashion_under_mnists_name_are_named(command, idx_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(KNOWN, "fashion_mnist", KNOWN["fashion_mnist"]._replace(digests=KNOWN["mnist"].digests))
    monkeypatch.setitem(KNOWN, "mnist", KNOWN["mnist"]._replace(digests=("0" * 64,) * 4))
    ended = command("mnist", "--data-dir", idx_folder, "--out", tmp_path / "run")
    assert_refused(ended, "found train-images-idx3-ubyte of Fashion-MNIST in")
    assert not (tmp_path / "run").exists()
