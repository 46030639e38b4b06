"""Several processes, on one machine or many, as one training: how they meet, agree, and end together.

JAX does the work: its coordination service lets them find each other and tells when one is gone, and its collectives
carry what they agree on. All run the same program, each on its own devices.
"""

import contextlib
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO

import jax
import numpy as np
from jax._src import distributed  # The service's client has no public name; the tests hold on to what is used of it.

EXIT_BAD_INPUT, EXIT_LOST = 2, 4
BEAT = 2.0
"""Seconds between two questions whether all are still there."""
SILENCE = 20.0
"""Seconds without an answer after which a process counts as lost; before XLA finds so and aborts, with less to say."""
PARTING = 3600.0
"""Seconds that the others wait for the first, which writes the report, before they end."""

CLUSTERS = (("SLURM_STEP_NODELIST", "SLURM_NTASKS"), ("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE"))
"""What Slurm and Open MPI set for each process, and how many there are."""

_ending = threading.Event()


class ProcessesError(ValueError):
    """The processes do not belong together, or one of them cannot begin; the message is one line."""


def is_cluster() -> bool:
    """Returns whether this process is one of several that Slurm, Open MPI or GKE has started."""
    counts = [os.environ.get(count, "") for mark, count in CLUSTERS if mark in os.environ]
    pods = os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",")
    return any(count.isdigit() and int(count) > 1 for count in counts) or len(pods) > 1


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
        f"{'no coordinator that answers' if process_id else 'some missing'}: "
        "start all of them, with the same --coordinator, or wait longer by --join-seconds."
    )
    bind = coordinator if coordinator and coordinator.startswith(("127.", "localhost:")) else None
    try:
        with _silenced(2) as errors, _deadline(seconds, late, EXIT_BAD_INPUT, errors):  # XLA warns of what is meant.
            jax.distributed.initialize(
                coordinator, processes, process_id,
                initialization_timeout=2 * seconds, heartbeat_timeout_seconds=int(3 * SILENCE),
                coordinator_bind_address=bind, cluster_detection_method="deactivate" if coordinator else None,
            )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise ProcessesError(
            f"Expected to meet the other processes at {place}, found {str(error).splitlines()[0]}: give the address "
            "of the first process's machine and a port that is free there."
        ) from None
    threading.Thread(target=_watch, args=(_client(),), name="watch", daemon=True).start()
    with _silenced(1):  # Gloo prints there that it connects them.
        everyone(np.zeros(1, np.int32))


def leave(seconds: float = PARTING) -> None:
    """Returns when all processes are about to end, or after so many seconds; until then, none misses another."""
    if jax.distributed.is_initialized():
        _ending.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            _client().wait_at_barrier("end", int(1000 * seconds))
            if is_first():  # It is the coordinator, which those that still have to sign off must reach.
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
    _say(_lost(found))
    os._exit(EXIT_LOST)


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
    said = [json.loads(content) for content in everyones_bytes(json.dumps(about).encode())]
    for number, other in enumerate(said):
        for name in dict.fromkeys((*said[0], *other)):
            if said[0].get(name) != other.get(name):
                raise ProcessesError(
                    f"Expected the same {name} in all {len(said)} processes, found {said[0].get(name)!s:.60} in the "
                    f"first and {other.get(name)!s:.60} in process {number}: start them by the same command from "
                    "the same code, but for --process-id."
                )


def is_loss(error: BaseException) -> bool:
    """Returns whether an error is what JAX raises when another process has gone."""
    return jax.distributed.is_initialized() and any(
        name in f"{type(error).__name__} {error}".lower() for name in ("gloo", "nccl", "coordination service")
    )


def _watch(client: Any) -> None:
    for beat in itertools.count():
        try:
            with _deadline(SILENCE + 2 * BEAT, _lost("the first one silent"), EXIT_LOST):
                client.wait_at_barrier(f"beat {beat}", int(1000 * SILENCE))
        except Exception as error:  # Of whatever kind: nothing can be asked any more.
            if not _ending.wait(1):  # The main thread may be told so, too, and have something to save.
                silent = re.search(r"timed out task names:\s*([\d, ]+)", str(error))
                end_lost(f"process {silent[1].strip()} silent" if silent else "the first one gone or out of reach")
        if _ending.is_set():
            return
        time.sleep(BEAT)


def _lost(found: str) -> str:
    return (
        f"Expected all {distributed.global_state.num_processes} processes to go on, found {found}: "
        "start all of them again with --resume."
    )


def _client() -> Any:
    return distributed.global_state.client


@contextlib.contextmanager
def _deadline(seconds: float, line: str, status: int, stream: TextIO | None = None) -> Iterator[None]:
    """Ends the process with a line if what is inside takes longer."""

    def end() -> None:
        if not _ending.is_set():
            _say(line, stream)
            os._exit(status)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(line: str, stream: TextIO | None = None) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=stream or sys.stderr, flush=True)


@contextlib.contextmanager
def _silenced(descriptor: int) -> Iterator[TextIO]:
    """Keeps what libraries write on an output away from it; what is written on the stream that it gives gets there."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    with open(os.dup(descriptor), "w") as kept:
        os.dup2(nothing, descriptor)
        try:
            yield kept
        finally:
            os.dup2(kept.fileno(), descriptor)
            os.close(nothing)
