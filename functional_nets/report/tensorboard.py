"""A run's rows for TensorBoard."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOT_SCALARS = ("step", "epoch")


def has_tensorboard() -> bool:
    """Returns whether rows can be written; nothing is loaded to find out."""
    return importlib.util.find_spec("tensorboardX") is not None


class TensorBoard:
    """Writes rows of metrics as scalars, by step, into a folder that `tensorboard --logdir` shows.

    Args:
        folder: The folder.
        first_step: The step from which this process trains. What a killed one wrote of later steps is hidden.
    """

    def __init__(self, folder: Path, first_step: int = 0):
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1 if first_step else None)

    def row(self, row: Mapping[str, Any]) -> None:
        """Writes a row: `train_loss` as `loss/train`, `test_accuracy` as `accuracy/test`, all else by its name."""
        for name, value in row.items():
            if name not in NOT_SCALARS:
                part, _, what = name.partition("_")
                tag = f"{what}/{part}" if part in ("train", "test") else name
                self._writer.add_scalar(tag, float(value), row["step"])
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()
