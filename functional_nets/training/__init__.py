"""Training: steps, epochs as one compiled program, evaluation, populations, checkpoints."""

from functional_nets.training.checkpoint import (
    BackgroundWriter,
    Checkpoint,
    CheckpointError,
    checkpoints,
    data_contract,
    environment,
    flush_folder,
    load_checkpoint,
    load_params,
    save_checkpoint,
    save_params,
    tree_sha256,
    write_whole,
)
from functional_nets.training.compilation_cache import keep_programs
from functional_nets.training.evaluation import Evaluation, evaluate, predict
from functional_nets.training.fit import FitResult, Snapshot, fit
from functional_nets.training.non_finite import NonFiniteLossError, SkippedTooOftenError
from functional_nets.training.norms import LayerNorms, make_layer_norms
from functional_nets.training.optimizers import OPTIMIZERS, make_optimizer
from functional_nets.training.parallel import LAYER_RULES, DevicesError, ProcessesError, describe, make_mesh
from functional_nets.training.population import PopulationResult, fit_population
from functional_nets.training.precision import slow_precision
from functional_nets.training.self_test import WrongArithmeticError, check_arithmetic
from functional_nets.training.step import TrainState, init_state, make_train_step

__all__ = [
    "fit", "FitResult", "Snapshot", "NonFiniteLossError", "SkippedTooOftenError",
    "evaluate", "predict", "Evaluation",
    "fit_population", "PopulationResult",
    "make_train_step", "TrainState", "init_state",
    "make_layer_norms", "LayerNorms",
    "make_optimizer", "OPTIMIZERS",
    "save_checkpoint", "load_checkpoint", "checkpoints", "Checkpoint", "CheckpointError",
    "save_params", "load_params", "environment", "data_contract",
    "tree_sha256", "write_whole", "flush_folder", "BackgroundWriter",
    "make_mesh", "describe", "LAYER_RULES", "DevicesError", "ProcessesError",
    "keep_programs", "slow_precision",
    "check_arithmetic", "WrongArithmeticError",
]  # fmt: skip
