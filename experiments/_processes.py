"""A run by several processes: how its options tell of them, what all must have in common, who writes."""

import contextlib
import dataclasses
import hashlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh

import experiments
import functional_nets
from experiments._command import DISPLAY, OF_THE_MOMENT, OptionError
from experiments._options import TrainingConfig
from functional_nets.training import Checkpoint, DevicesError, TrainState, make_mesh
from functional_nets.training.checkpoint.file import pack, unpack
from functional_nets.training.parallel import processes

OF_ONE = {*OF_THE_MOMENT, *DISPLAY, "out", "overwrite", "data_dir", "source"} - {"processes"}
"""Options that processes may have each for itself."""
ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):([0-9]{1,5})")


@contextlib.contextmanager
def several_processes(config: Any) -> Iterator[None]:
    """Has what is inside run as one of the processes that the options or the cluster tell of, if there are several.

    Raises:
        OptionError: The options do not fit each other.
    """
    if not isinstance(config, TrainingConfig) or not _joined(config):
        yield
        return
    try:
        yield
    except SystemExit:  # All have agreed to end.
        processes.leave()
        raise
    except Exception as error:  # Of whatever kind: the others must not wait for this one.
        if processes.is_loss(error):
            processes.end_lost("another one gone")
        processes.leave(seconds=5)  # The others may have the same error, or never come.
        raise
    processes.leave()


def _joined(config: TrainingConfig) -> bool:
    if config.processes == 1 and config.coordinator is None and not config.process_id:
        return False  # Whatever has started this process: it was told to be alone.
    config = _numbered_by_mpi(config)
    given = {"--coordinator": config.coordinator, "--processes": config.processes, "--process-id": config.process_id}
    if missing := [name for name, value in given.items() if value is None]:
        if len(missing) < len(given):
            raise OptionError(f"Expected {', '.join(given)} or none of them, found no {missing[0]}: give it, too.")
        if not processes.is_cluster():
            return False
        _check_together(config)
        processes.join(None, None, None, config.join_seconds)
        return True
    _check(config.coordinator or "", config.processes or 0, config.process_id or 0, config)
    _check_host((config.coordinator or "").rpartition(":")[0], config.join_seconds)
    processes.join(config.coordinator, config.processes, config.process_id, config.join_seconds)
    return True


def _numbered_by_mpi(config: TrainingConfig) -> TrainingConfig:
    """Returns the options with the numbers that MPI tells, where only the coordinator is left to say."""
    numbers = processes.mpi_numbers()
    if numbers is None or processes.is_cluster() or config.processes is not None or config.process_id is not None:
        return config
    if config.coordinator is None:
        raise OptionError(
            f"Expected --coordinator under MPI, which has started {numbers[0]} processes, found none: give "
            "--coordinator HOST:PORT, the machine of rank 0 and a port free there, or --processes 1 to run alone."
        )
    return dataclasses.replace(config, processes=numbers[0], process_id=numbers[1])


def _check_host(host: str, seconds: int) -> None:
    deadline = time.monotonic() + seconds
    while True:  # A machine that is just starting may get its name later than this one asks.
        try:
            socket.getaddrinfo(host.strip("[]"), None)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise OptionError(
                    f"Expected --coordinator to name a machine that can be found, found none named {host!r} within "
                    f"{seconds} s ({error.strerror or error}): mend the name, or give the address."
                ) from None
        time.sleep(0.5)


def _check(coordinator: str, count: int, number: int, config: TrainingConfig) -> None:
    address = ADDRESS.fullmatch(coordinator)
    if address is None or not 0 < int(address[2]) < 2**16:
        raise OptionError(f"Expected --coordinator as HOST:PORT, found {coordinator!r}: as 10.0.0.1:1234.")
    if count < 1 or not 0 <= number < count:
        raise OptionError(
            f"Expected --process-id from 0 to {count - 1}, below --processes, found {number} of {count}: count from 0."
        )
    _check_together(config)


def _check_together(config: TrainingConfig) -> None:
    if config.join_seconds < 1:
        raise OptionError(f"Expected --join-seconds of at least 1, found {config.join_seconds}: 60 is usual.")
    if getattr(config, "population", 0):
        raise OptionError("Expected --population or --processes, found both: one process trains a population.")


def mesh_of(config: TrainingConfig) -> Mesh | None:
    """Returns the devices that the options ask for, of all processes together; None for one.

    Raises:
        DevicesError: They are not there.
    """
    mesh = make_mesh(config.devices, config.mesh)
    if mesh is None and jax.process_count() > 1:
        raise DevicesError(
            f"Expected the devices of all {jax.process_count()} processes, found --devices 1: leave --devices out."
        )
    return mesh


def check_same(name: str, config: TrainingConfig, data_contract: dict[str, Any]) -> None:
    """Returns if all processes have the same code, options and data.

    Raises:
        ProcessesError: In all of them, if not.
    """
    if jax.process_count() > 1:
        processes.check_same(in_common(name, config, data_contract))


def in_common(name: str, config: TrainingConfig, data_contract: dict[str, Any]) -> dict[str, Any]:
    """Returns what must be the same in all processes, what explains most of the rest first."""
    options = {option: value for option, value in dataclasses.asdict(config).items() if option not in OF_ONE}
    versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__, "optax": optax.__version__}
    return {"experiment": name, **_sources(), **versions, **options, **data_contract}


def _sources() -> dict[str, str]:
    """Returns each source file with the beginning of its SHA-256."""
    folders = [Path(package.__path__[0]) for package in (functional_nets, experiments)]
    return {
        f"{folder.name}/{path.relative_to(folder).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    }


def share_checkpoint(found: Checkpoint | None, like: TrainState) -> Checkpoint | None:
    """Returns in all processes what the first has found: the others need not reach its folder."""
    if jax.process_count() == 1:
        return found
    content = b""
    if found is not None:
        about = {**found.about, "found": [str(found.path), found.notices, found.inexact]}
        content = pack(found.snapshot, about)
    content = processes.everyones_bytes(content)[0]
    if not content:
        return None
    snapshot, about = unpack(content, like)
    path, notices, inexact = about.pop("found")
    return Checkpoint(snapshot, about, Path(path), notices, inexact)
