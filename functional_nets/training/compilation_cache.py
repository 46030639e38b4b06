"""Compiled programs on the disk, so that a second run starts at once."""

import atexit
import contextlib
import functools
import hashlib
import os
import platform
import zlib
from pathlib import Path

import jax

from functional_nets.training.precision import processor_features

VARIABLE = "FUNCTIONAL_NETS_CACHE"
LARGEST = 256 * 2**20  # Bytes; what was compiled first goes first.


@functools.cache
def keep_programs() -> Path | None:
    """Has JAX keep what it compiles from now on; returns the folder, or None if nothing is kept.

    The folder is below `FUNCTIONAL_NETS_CACHE` or the user's cache folder, and named after all that a program
    depends on: the versions of JAX, the processor's features, XLA's flags. `FUNCTIONAL_NETS_CACHE=off` keeps
    nothing. A cache folder that JAX was told of is left to it.

    JAX warns of a damaged entry and compiles anew, in each later run again (its entries are neither written as a
    whole nor repaired). So each entry gets a digest when the process ends in order, and one whose digest is
    missing or wrong is deleted here.
    """
    base = os.environ.get(VARIABLE) or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "functional_nets")
    if base == "off" or jax.config.values["jax_compilation_cache_dir"]:
        return None
    try:
        folder = Path(base).expanduser() / "programs" / _fingerprint()
        folder.mkdir(parents=True, exist_ok=True)
        make_private(folder)
        delete_damaged(folder)
    except (OSError, RuntimeError):  # Python's for a user without a home.
        return None  # A folder that is not to be used costs time and nothing else.
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    atexit.register(sign_entries, folder)
    return folder


def make_private(folder: Path) -> None:
    """Lets nobody but this user write into the folder: what lies there will be executed.

    Raises:
        PermissionError: It is another user's.
    """
    folder.chmod(0o700)
    # The superuser may change what others own, and they may change it back.
    if hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} is another user's")


def delete_damaged(folder: Path) -> None:
    """Deletes the entries that are not as a process left them, and the oldest of too many."""
    entries = sorted(folder.glob("*-cache"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    total = 0
    for entry in entries:
        total += entry.stat().st_size
        if total > LARGEST or not _whole(entry):
            entry.unlink(missing_ok=True)
            _digest_of(entry).unlink(missing_ok=True)


def sign_entries(folder: Path) -> None:
    """Writes the digest of each entry that has none, but for one that a full disk or another process has cut."""
    with contextlib.suppress(OSError):
        for entry in folder.glob("*-cache"):
            if not _digest_of(entry).exists() and not _is_cut(content := entry.read_bytes()):
                _digest_of(entry).write_text(_hash(content))


def _whole(entry: Path) -> bool:
    digest = _digest_of(entry)
    signed = digest.exists() and digest.stat().st_size == 2 * hashlib.sha256().digest_size
    return signed and digest.read_bytes() == _hash(entry.read_bytes()).encode()


def _is_cut(content: bytes) -> bool:
    """Returns whether an entry is a zlib stream without its end; JAX uses zstandard instead where that is installed."""
    if not content.startswith(b"\x78"):
        return not content
    try:
        zlib.decompress(content)
    except zlib.error:
        return True
    return False


def _digest_of(entry: Path) -> Path:
    return entry.with_name(entry.name + ".sha256")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fingerprint() -> str:
    versions = (jax.__version__, jax.lib.__version__, os.environ.get("XLA_FLAGS", ""))
    machine = (platform.platform(), platform.processor(), *sorted(processor_features()))
    return _hash(" ".join((*versions, *machine)).encode())[:16]
