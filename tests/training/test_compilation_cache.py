"""Compiled programs on the disk: what is whole is kept, what is not is deleted."""

import os
import subprocess
import sys
import zlib

import pytest

from functional_nets.training import compilation_cache
from functional_nets.training.compilation_cache import VARIABLE, delete_damaged, make_private, sign_entries

PROGRAM = """
import jax, sys
from functional_nets.training import keep_programs
print(keep_programs())
print(jax.jit(lambda x: x * 3 + 1)(jax.numpy.ones(2)))
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of two entries, signed."""
    for name in ("first-cache", "second-cache"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    sign_entries(tmp_path)
    return tmp_path


def entries(folder):
    return sorted(path.name for path in folder.glob("*-cache"))


def test_what_is_as_it_was_left_is_kept(folder):
    delete_damaged(folder)
    assert entries(folder) == ["first-cache", "second-cache"]


@pytest.mark.parametrize("content", [b"", b"first-cache" * 99, b"another" * 100])
def test_what_is_cut_or_changed_is_deleted_with_its_digest(folder, content):
    (folder / "first-cache").write_bytes(content)
    delete_damaged(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["second-cache", "second-cache.sha256"]


def test_what_a_killed_process_left_without_a_digest_is_deleted(folder):
    (folder / "third-cache").write_bytes(b"perhaps whole")
    delete_damaged(folder)
    assert entries(folder) == ["first-cache", "second-cache"]


def test_what_a_full_disk_has_cut_is_not_signed(folder):
    whole = zlib.compress(b"a program" * 100)
    for name, content in (("whole", whole), ("cut", whole[:-1]), ("empty", b"")):
        (folder / f"{name}-cache").write_bytes(content)
    sign_entries(folder)
    delete_damaged(folder)
    assert entries(folder) == ["first-cache", "second-cache", "whole-cache"]


def test_the_oldest_of_too_many_are_deleted(folder, monkeypatch):
    os.utime(folder / "first-cache", (1, 1))
    monkeypatch.setattr(compilation_cache, "LARGEST", 1500)
    delete_damaged(folder)
    assert entries(folder) == ["second-cache"]


def run(cache):
    environment = {**os.environ, VARIABLE: str(cache)}
    words = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_second_process_finds_what_the_first_has_compiled_and_repairs_what_is_damaged(tmp_path):
    first = run(tmp_path)
    kept = sorted(tmp_path.rglob("*-cache"))
    assert first[1] == "[4. 4.]"
    assert kept
    times = [path.stat().st_mtime_ns for path in kept]
    assert run(tmp_path) == first
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*-cache"))] == times
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    assert run(tmp_path) == first
    assert kept[0].stat().st_size > 50


def test_a_digest_that_is_no_text_is_damage(folder):
    (folder / "first-cache.sha256").write_bytes(b"\xff" * 64)
    delete_damaged(folder)
    assert entries(folder) == ["second-cache"]


def test_nobody_else_may_write_what_will_be_executed(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="another user's"):
        make_private(tmp_path)


def test_off_keeps_nothing(tmp_path):
    assert run("off")[0] == "None"
