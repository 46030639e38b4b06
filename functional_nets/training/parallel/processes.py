"""Several processes, on one machine or many, as one training: how they meet, agree, and end together.

JAX does the work: its coordination service lets them find each other and tells when one is gone, and its collectives
carry what they agree on. All run the same program, each on its own devices.
"""

import contextlib
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from jax._src import distributed  # The service's client has no public name; the tests hold on to what is used of it.

from functional_nets.training.parallel.ending import (
    EXIT_BAD_INPUT,
    EXIT_LOST,
    deadline,
    end_at_once,
    ending,
    set_aside_what_xla_writes,
    silenced_output,
    tells_of_loss,
    when_aborted,
)

BEAT = 2.0
"""Seconds between two questions whether all are still there."""
SILENCE = 20.0
"""Seconds without an answer after which a process counts as lost; before XLA finds so and aborts, with less to say."""
PARTING = 3600.0
"""Seconds that the others wait for the first, which writes the report, before they end."""

MPI = (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("PMI_SIZE", "PMI_RANK"))
"""What Open MPI, also where JAX does not recognise it (from 5 on), and MPICH's kind set: how many, and which."""
CLUSTERS = (("SLURM_STEP_NODELIST", "SLURM_NTASKS"), ("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE"))
"""What Slurm and Open MPI set for each process, and how many there are."""

TWICE = "started twice"
"""Where a process that had to go says whose number it has: the coordinator no longer knows that one, either."""


class ProcessesError(ValueError):
    """The processes do not belong together, or one of them cannot begin; the message is one line."""


def is_cluster() -> bool:
    """Returns whether this process is one of several that Slurm, Open MPI or GKE has started."""
    counts = [os.environ.get(count, "") for mark, count in CLUSTERS if mark in os.environ]
    pods = os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",")
    return any(count.isdigit() and int(count) > 1 for count in counts) or len(pods) > 1


def mpi_numbers() -> tuple[int, int] | None:
    """Returns how many processes MPI has started and which of them this is; None if it has started no others."""
    for names in MPI:
        count, number = (os.environ.get(name, "") for name in names)
        if count.isdigit() and number.isdigit() and int(count) > 1:
            return int(count), int(number)
    return None


def join(coordinator: str | None, processes: int | None, process_id: int | None, seconds: int) -> None:
    """Makes this process one of several; before anything else has touched a device.

    It ends with status 2 and one line if the others do not come.

    Args:
        coordinator: Address and port of the first process; None finds all three in the cluster's environment.
        processes: How many there are.
        process_id: Which this is, from 0.
        seconds: How long to wait for the others.

    Raises:
        ProcessesError: The coordinator's address cannot be used.
    """
    jax.config.update("jax_enable_recoverability", True)  # Or XLA aborts this process when it misses another.
    jax.config.update("jax_enable_preemption_service", False)  # It takes SIGTERM, on which a run saves.
    place = coordinator or "the address that the cluster tells"
    late = (
        f"Expected {processes or 'all'} processes to meet at {place} within {seconds} s, found "
        f"{'no coordinator that answers, or one that waits for more' if process_id else 'some missing'}: "
        "start all of them, with the same --coordinator, or wait longer by --join-seconds."
    )
    set_aside_what_xla_writes()
    try:
        with deadline(seconds, late, EXIT_BAD_INPUT):
            when_aborted(lambda: end_at_once(_taken(), EXIT_BAD_INPUT))
            _meet(coordinator, processes, process_id, seconds)
            counts = _claimed(seconds)
    except (RuntimeError, ValueError) as error:
        give = "the address of the first process's machine and a port that is free there"
        if coordinator is None:  # The cluster's environment lacks something, or tells what cannot be.
            give = "all three of --coordinator, --processes, --process-id"
        found = str(error).splitlines()[0].rstrip(".")
        raise ProcessesError(f"Expected to meet the other processes at {place}, found {found}: give {give}.") from None
    when_aborted(lambda: end_lost("another one gone"))
    _check_counts(counts)
    threading.Thread(target=_watch, args=(_client(),), name="watch", daemon=True).start()
    try:
        with silenced_output():  # Gloo prints there that it connects them.
            everyone(np.zeros(1, np.int32))
    except jax.errors.JaxRuntimeError as error:
        end_lost(f"no connection between them ({str(error).splitlines()[0]})")


def _meet(coordinator: str | None, processes: int | None, process_id: int | None, seconds: int) -> None:
    """Connects to the coordinator, which the first process is."""
    bind = coordinator if coordinator and coordinator.startswith(("127.", "localhost:")) else None
    jax.distributed.initialize(
        coordinator, processes, process_id,
        initialization_timeout=2 * seconds, heartbeat_timeout_seconds=int(3 * SILENCE),
        coordinator_bind_address=bind, cluster_detection_method="deactivate" if coordinator else None,
    )  # fmt: skip


def _claimed(seconds: int) -> list[str]:
    """Takes this process's number, and returns how many processes each has been told of."""
    client, state = _client(), distributed.global_state
    try:
        client.key_value_set(f"claimed/{state.process_id}", str(state.num_processes))
    except jax.errors.JaxRuntimeError as error:
        if "ALREADY_EXISTS" in str(error):
            client.key_value_set(TWICE, str(state.process_id), allow_overwrite=True)
            end_at_once(_taken(), EXIT_BAD_INPUT)  # To sign off would sign off the process that has the number.
        raise
    if state.process_id == 0:
        numbers = range(state.num_processes)
        told = [client.blocking_key_value_get(f"claimed/{number}", 1000 * seconds) for number in numbers]
        client.key_value_set("counts", " ".join(told))
    return client.blocking_key_value_get("counts", 1000 * seconds).split()


def _check_counts(counts: list[str]) -> None:
    for number, count in enumerate(counts):
        if count != counts[0]:
            leave(seconds=5)
            raise ProcessesError(
                f"Expected the same --processes in all of them, found {counts[0]} in the first and {count} in process "
                f"{number}: start them by the same command but for --process-id."
            )


def _taken() -> str:
    number = distributed.global_state.process_id
    return (
        f"Expected --process-id to be this process's alone and below the first one's --processes, found process id "
        f"{number} is taken, or not among them: number the processes 0, 1, 2, ..., each once."
    )


def leave(seconds: float = PARTING) -> None:
    """Returns when all processes are about to end, or after so many seconds; until then, none misses another."""
    if jax.distributed.is_initialized():
        ending.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            _client().wait_at_barrier("end", int(1000 * seconds))
            if distributed.global_state.process_id == 0:  # Those that still have to sign off must reach it.
                _client().get_live_nodes(list(range(distributed.global_state.num_processes)))
        jax.distributed.shutdown()


def is_first() -> bool:
    """Returns whether this process writes the files: the only one, or the first."""
    return jax.process_index() == 0


def everyone(value: np.ndarray | np.generic) -> np.ndarray:
    """Returns what each process gives, [processes, …]; all must ask together, with the same shape and type."""
    if jax.process_count() == 1:
        return np.asarray(value)[None]
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(value)


def first(value: float) -> float:
    """Returns what the first process gives, to the precision of float32."""
    return value if jax.process_count() == 1 else float(everyone(np.float32(value))[0])


def everyones_bytes(content: bytes) -> list[bytes]:
    """Returns what each process gives, of whatever length."""
    if jax.process_count() == 1:
        return [content]
    lengths = everyone(np.int32(len(content)))
    padded = np.zeros(max(1, int(lengths.max())), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    return [row[:length].tobytes() for row, length in zip(everyone(padded), lengths, strict=True)]


def end_lost(found: str) -> NoReturn:
    """Ends this process at once, with status 4 and one line that says what was found; the others do so, too."""
    end_at_once(_lost(found), EXIT_LOST)


def is_loss(error: BaseException) -> bool:
    """Returns whether an error is what JAX raises when another process has gone."""
    return jax.distributed.is_initialized() and tells_of_loss(str(error))


def raise_together(problem: Exception | None) -> None:
    """Returns if no process has a problem; all must ask together.

    Raises:
        Exception: This process's own, or a ProcessesError with that of another.
    """
    messages = everyones_bytes(str(problem).encode() if problem else b"")
    if problem is not None:
        raise problem
    for message in filter(None, messages):
        raise ProcessesError(message.decode())


def check_same(about: Mapping[str, Any]) -> None:
    """Returns if all processes say the same of themselves, in values that JSON can hold.

    Raises:
        ProcessesError: In all of them, with the first difference.
    """
    if line := difference([json.loads(content) for content in everyones_bytes(json.dumps(about).encode())]):
        raise ProcessesError(line)


def difference(said: Sequence[Mapping[str, Any]]) -> str | None:
    """Returns a line on the first thing of which processes say something else than the first; None if they agree."""
    for number, other in enumerate(said):
        for name in dict.fromkeys((*said[0], *other)):
            if said[0].get(name) != other.get(name):
                return (
                    f"Expected the same {name} in all {len(said)} processes, found {said[0].get(name)!s:.60} in the "
                    f"first and {other.get(name)!s:.60} in process {number}: start them by the same command from "
                    "the same code, but for --process-id."
                )
    return None


def _watch(client: Any) -> None:
    for beat in itertools.count():
        found = ""
        try:
            with deadline(SILENCE + 2 * BEAT, _lost("the first one silent"), EXIT_LOST):
                client.wait_at_barrier(f"beat {beat}", int(1000 * SILENCE))
        except Exception as error:  # Of whatever kind: nothing can be asked any more.
            silent = re.search(r"timed out task names:\s*([\d, ]+)", str(error))
            found = f"process {silent[1].strip()} silent" if silent else "the first one gone or out of reach"
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # It is not there.
            found = f"process {client.key_value_try_get(TWICE)} started twice"
        if found and not ending.wait(1):  # The main thread may be told so, too, and have something to save.
            end_lost(found)
        if ending.is_set():
            return
        time.sleep(BEAT)


def _lost(found: str) -> str:
    return (
        f"Expected all {distributed.global_state.num_processes} processes to go on, found {found}: "
        "start all of them again with --resume."
    )


def _client() -> Any:
    return distributed.global_state.client
