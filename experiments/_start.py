"""How a run starts: its folder is chosen, its checkpoint found, its gradients checked, before anything is written."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from experiments._command import OptionError
from experiments._folder import NO_METRICS, MetricsKnown, RunFolder
from experiments._options import TrainingConfig
from experiments._processes import share_checkpoint
from functional_nets import training
from functional_nets.training import Checkpoint, Snapshot, TrainState
from functional_nets.training.parallel import processes

BEST = {"step", "test_accuracy", "test_loss"}


class Start(NamedTuple):
    """What a run starts from.

    Attributes:
        folder: Where it writes; of several processes, the first alone does.
        snapshot: Where it goes on; None at the beginning.
        first_step: That of the snapshot.
        best: The best row so far.
        inexact: What has differed so far when it was resumed.
        notices: What people should know of it.
        gradient_check: What the check of the gradients has found; None if it was not asked for.
    """

    folder: RunFolder
    snapshot: Snapshot | None
    first_step: int
    best: dict[str, Any] | None
    inexact: list[str]
    notices: list[str]
    gradient_check: dict[str, Any] | None

    @property
    def row_begins(self) -> int:
        """After which step the next row of metrics begins."""
        return self.first_step - (len(self.snapshot.losses) if self.snapshot else 0)


@contextlib.contextmanager
def starting(
    name: str, config: TrainingConfig, like: TrainState, contract: dict[str, Any], last_step: int,
    check_gradients: Callable[[], dict[str, Any] | None],
) -> Iterator[Start]:  # fmt: skip
    """Gives what a run starts from, in all processes alike, after its folder has been made.

    Args:
        name: The experiment's.
        config: Its configuration.
        like: A state as the checkpoints hold it.
        contract: What must be as it was for the same bits.
        last_step: Where it is to end.
        check_gradients: Checks them, before the folder is made.

    Raises:
        OptionError: The folder cannot be used, or there is nothing to go on with.
        CheckpointError: There is no checkpoint to go on from.
        DataError: The rows before it are no metrics.
    """
    with contextlib.ExitStack() as open_until_the_end:
        folder, checked, problem = RunFolder(config.out or Path("runs"), resume=False, overwrite=False), None, None
        found: Checkpoint | None = None
        try:
            if processes.is_first():
                folder = RunFolder.choose(name, config.out, resume=config.resume, overwrite=config.overwrite)
                open_until_the_end.enter_context(folder)
                found = _checkpoint(folder, like, contract, config)
                _check_goes_on(folder, int(found.snapshot.state.step) if found else 0, last_step)
                checked = check_gradients()
                known = MetricsKnown(*(found.about[part] for part in MetricsKnown._fields)) if found else NO_METRICS
                folder.begin({"experiment": name, **dataclasses.asdict(config)}, known)
        except ValueError as error:
            problem = error
        processes.raise_together(problem)
        found = share_checkpoint(found, like)
        about = found.about if found else {}
        yield Start(
            folder,
            found.snapshot if found else None,
            int(found.snapshot.state.step) if found else 0,
            about.get("best"),
            [*about.get("inexact", []), *(found.inexact if found else [])],
            found.notices if found else [],
            checked,
        )


def _check_goes_on(folder: RunFolder, first_step: int, last_step: int) -> None:
    if first_step > last_step or (folder.has_result() and first_step == last_step):
        raise OptionError(
            f"Expected a run to go on with, found {folder.path} at step {first_step:,} of {last_step:,}, the last: "
            "ask for more --epochs or --steps, or leave it (python -m experiments.report makes its report)."
        )


def _checkpoint(
    folder: RunFolder, like: TrainState, contract: dict[str, Any], config: TrainingConfig
) -> training.Checkpoint | None:
    """Returns where a resumed run goes on; None for one that begins, or was killed before its first checkpoint."""
    if not config.resume or folder.ended_before_its_first_checkpoint():
        return None
    found = training.load_checkpoint(folder.checkpoints, like, contract, allow_inexact=config.allow_inexact)
    about, best = found.about, found.about.get("best")
    believed = (
        isinstance(about.get("inexact"), list) and all(isinstance(each, str) for each in about["inexact"]),
        type(about.get("metrics_bytes")) is int and about["metrics_bytes"] >= 0,
        type(about.get("metrics_sha256")) is str,
        best is None or (isinstance(best, dict) and best.keys() == BEST and all(map(_is_finite, best.values()))),
    )
    if not all(believed):
        raise training.CheckpointError(f"Expected a checkpoint of a run, found one of something else: {found.path}.")
    if found.inexact:  # Of other batches, perhaps: then they are no losses of this row.
        return found._replace(snapshot=found.snapshot._replace(losses=found.snapshot.losses[:0], seconds=0.0))
    return found


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
