"""A folder of checkpoints: the newest few and the best are kept, and a damaged one gives way to the one before."""

import contextlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from functional_nets.data import DataError
from functional_nets.data.bounded import read, shown
from functional_nets.training.checkpoint import writing
from functional_nets.training.checkpoint.contract import Contract, differences
from functional_nets.training.checkpoint.file import CheckpointError, largest_size, pack, read_about, unpack
from functional_nets.training.fit import Snapshot
from functional_nets.training.step import TrainState

KEPT = 2  # If the disk loses the newest file, the one before it is still there.
NAME = re.compile(r"step_([0-9]{9,})\.safetensors", re.ASCII)


class Checkpoint(NamedTuple):
    """What `load_checkpoint` has found.

    Attributes:
        snapshot: What `fit(…, state=…)` goes on from.
        about: What `save_checkpoint` was given.
        path: The file.
        notices: What people should know: newer files that are damaged, differences that were allowed.
        inexact: The latter alone.
    """

    snapshot: Snapshot
    about: dict[str, Any]
    path: Path
    notices: list[str]
    inexact: list[str]


def save_checkpoint(
    folder: Path, snapshot: Snapshot, about: dict[str, Any], *, keep: int = KEPT, spare: Collection[int] = ()
) -> Path:
    """Writes `step_N.safetensors`, whole or not at all, and removes older ones; returns its path.

    Args:
        folder: Where checkpoints lie; made if it is not there.
        snapshot: What to keep.
        about: What goes with it, in values that JSON can hold; `contract` is what `load_checkpoint` compares.
        keep: How many of the newest files stay.
        spare: Steps whose files stay, too, such as the best one's.

    Raises:
        OSError: When it cannot be written; the files before it are as they were.
    """
    if not folder.exists():
        folder.mkdir(parents=True)
        writing.flush_folder(folder.parent)
    step = int(snapshot.state.step)
    path = folder / f"step_{step:09d}.safetensors"
    writing.write_whole(path, pack(snapshot, about))
    # Files of later steps are left alone: they are damaged, or this run would not have gone on from before them.
    found = checkpoints(folder)
    older = sorted(each for each in found if each < step)
    for each in older[: max(0, len(older) - (keep - 1))]:
        if each not in spare:
            with contextlib.suppress(OSError):  # The new one is written, and that is what counts.
                writing.remove(found[each])
    return path


def checkpoints(folder: Path) -> dict[int, Path]:
    """Returns the files of a folder that have a checkpoint's name, by their steps."""
    return {
        int(named[1]): path for path in folder.glob("step_*") if (named := NAME.fullmatch(path.name)) and path.is_file()
    }


def load_checkpoint(
    folder: Path, like: TrainState, contract: Contract | None = None, *, allow_inexact: bool = False
) -> Checkpoint:
    """Returns the newest whole checkpoint of the folder; nothing is deleted.

    Args:
        folder: Where `save_checkpoint` wrote.
        like: A state of the same structure, shapes and types.
        contract: What must be as it was; None compares nothing.
        allow_inexact: Whether to go on, and to say so, when something in the contract differs.

    Raises:
        CheckpointError: When there is none, none is whole, or the newest whole one is of another structure or contract.
    """
    damaged: list[str] = []
    for step, path in sorted(checkpoints(folder).items(), reverse=True):
        try:
            content = _read(path, like)
            about = read_about(content)
        except CheckpointError as error:
            damaged.append(f"{path.name}: {error}")
            continue
        inexact = _compare(about.get("contract", {}), contract, path, allow_inexact)
        try:
            snapshot, _ = unpack(content, like)
            if int(snapshot.state.step) != step:
                raise CheckpointError(f"it is of step {snapshot.state.step}, which is not what its name says")
        except CheckpointError as error:
            raise CheckpointError(
                f"Expected a checkpoint of this model and optimizer, found another in {path}: {error}; "
                "resume with the options that the run began with."
            ) from None
        notices = [f"A damaged checkpoint was passed over ({each})." for each in damaged]
        if damaged:
            notices.append(f"The run goes on from {path.name}, the newest whole one.")
        return Checkpoint(snapshot, about, path, [*notices, *inexact], inexact)
    found = "; ".join(damaged) if damaged else "none"
    raise CheckpointError(
        f"Expected a whole checkpoint to resume from in {folder}, found {found}: leave --resume out, or put one back."
    )


def _compare(was: Contract, now: Contract | None, path: Path, allow_inexact: bool) -> list[str]:
    differing = [] if now is None else differences(was, now)
    if differing and not allow_inexact:
        name, then, present = differing[0]
        raise CheckpointError(
            f"Expected a checkpoint with {shown(name)} = {present}, found {shown(then)} in {path}: resume with what "
            "the run began with, or say --allow-inexact to go on without the promise of the same bits."
        )
    return [
        f"Going on inexactly: {shown(name)} was {shown(then)} and is {present}." for name, then, present in differing
    ]


def _read(path: Path, like: TrainState) -> bytes:
    """Returns the content of a file; its size is looked at before it is read."""
    try:
        return read(path, largest_size(like), "remove it")
    except DataError as error:
        raise CheckpointError(f"it cannot be read: {error}") from None
