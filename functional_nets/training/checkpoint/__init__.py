"""Checkpoints: a training in one file that is whole or not there, and the promise to go on from it exactly."""

from functional_nets.training.checkpoint.contract import data_contract, environment, tree_sha256
from functional_nets.training.checkpoint.file import CheckpointError
from functional_nets.training.checkpoint.folder import Checkpoint, checkpoints, load_checkpoint, save_checkpoint
from functional_nets.training.checkpoint.params import load_params, save_params
from functional_nets.training.checkpoint.writing import BackgroundWriter, flush_folder, write_whole

__all__ = [
    "save_checkpoint", "load_checkpoint", "checkpoints", "Checkpoint", "CheckpointError",
    "save_params", "load_params",
    "environment", "data_contract", "tree_sha256",
    "BackgroundWriter", "write_whole", "flush_folder",
]  # fmt: skip
