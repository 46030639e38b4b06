"""Many networks of one experiment at once: the share that learns, and what differs from seed to seed."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._command import OptionError
from experiments._folder import RunFolder
from experiments._options import TrainingConfig
from functional_nets import data, training
from functional_nets.data import Split
from functional_nets.models import Model, xor_net
from functional_nets.nn import binary_cross_entropy_loss, classification_loss, scale_pixels

RANGES = (0.1, 0.5, 2**-0.5, 1.0, 2.0, 5.0)
"""Bounds r of the uniform distribution U(-r, r) that XOR's weights and biases start from; 1/√2 is PyTorch's."""
RATES = (0.1, 0.5, 1.0, 2.0, 5.0)
AT_ONCE = 10
"""Networks on images that one program trains; more are taken in turn, so that memory does not grow."""


class Cell(NamedTuple):
    """Of the networks of one precision, initial range and learning rate, how many there are and how many learn."""

    precision: str
    initial_range: float
    learning_rate: float
    networks: int
    learnt: int


def xor_population(config: Any, table: tuple[np.ndarray, np.ndarray]) -> list[Cell]:
    """Trains `config.population` networks in each precision; prints and writes the share that learns XOR.

    The networks are shared out evenly to the initial ranges and learning rates, and start from the same numbers in
    both precisions. A network has learnt XOR when all four answers are right.
    """
    folder = _folder("xor", config)
    settings = list(itertools.product(RANGES, RATES))
    each = math.ceil(config.population / len(settings))
    learnt = {}
    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            learnt[precision] = _learnt(config, table, precision, each)
    cells = [
        Cell(precision, *setting, each, int(count))
        for precision, answers in learnt.items()
        for setting, count in zip(settings, answers.sum(axis=1), strict=True)
    ]
    differing = int((learnt["float32"] != learnt["float64"]).sum())
    lines = [*_xor_table(cells), f"{differing:,} networks learn XOR in one precision and not in the other"]
    print(*lines, f"written: {folder.path}/table.md and table.json", sep="\n")
    folder.write("table.json", json.dumps([cell._asdict() for cell in cells], indent=1) + "\n")
    folder.write("table.md", "\n".join(lines) + "\n")
    return cells


def _learnt(config: Any, table: tuple[np.ndarray, np.ndarray], precision: str, each: int) -> np.ndarray:
    """Whether each network has learnt XOR, [settings, each]."""
    settings = list(itertools.product(RANGES, RATES))
    bounds, rates = (np.repeat(column, each).astype(precision) for column in zip(*settings, strict=True))
    x, labels = table[0].astype(precision), table[1]
    model = xor_net(population=True)
    keys = jax.random.split(jax.random.key(config.seed or 0), len(bounds))
    result = training.fit_population(
        binary_cross_entropy_loss(model.apply),
        jax.vmap(lambda key, bound: _uniform(model, key, bound))(keys, jnp.asarray(bounds)),
        (x, labels),
        lambda learning_rate: training.make_optimizer(config.optimizer, learning_rate),
        batch_size=len(x), epochs=config.steps, epochs_per_program=config.steps, shuffle=False,
        key=jax.random.key(0), hyperparameters={"learning_rate": jnp.asarray(rates)},
        evaluate=lambda params: jnp.all((model.apply(params, jnp.asarray(x))[:, 0] > 0) == labels),
    )  # fmt: skip
    assert jax.tree.leaves(result.params)[0].dtype == precision
    return np.asarray(result.evaluations[-1]).reshape(len(settings), each)


def _uniform(model: Model, key: jax.Array, bound: jax.Array) -> Any:
    """Parameters of `model` drawn from U(-bound, bound), in the type of the bound."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(model.init, key))
    drawn = [
        # Drawn in float32, so that both precisions start from the same numbers.
        jax.random.uniform(each, leaf.shape, jnp.float32, -1, 1).astype(bound.dtype) * bound
        for each, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def _xor_table(cells: list[Cell]) -> Iterator[str]:
    for precision in dict.fromkeys(cell.precision for cell in cells):
        mine = [cell for cell in cells if cell.precision == precision]
        share = sum(cell.learnt for cell in mine) / sum(cell.networks for cell in mine)
        yield f"{precision}: {share:.1%} of all learn XOR; {mine[0].networks:,} networks in each place"
        yield ""
        yield "| initial range | " + " | ".join(f"learning rate {rate:g}" for rate in RATES) + " |"
        yield "|---|" + "---|" * len(RATES)
        for bound in RANGES:
            shares = [f"{cell.learnt / cell.networks:.1%}" for cell in mine if cell.initial_range == bound]
            yield f"| ±{bound:.3g} | " + " | ".join(shares) + " |"
        yield ""


def mnist_population(config: Any, model: Model) -> list[float]:
    """Trains networks of `config.population` seeds on the same batches; prints and writes mean and deviation."""
    folder = _folder("mnist", config)
    images = data.load("mnist", source=config.source, data_dir=config.data_dir)
    per_epoch = -(-len(images.train.x) // config.batch_size)
    epochs = config.epochs or math.ceil((config.steps or 10_000) / per_epoch)
    seeds = (config.seed or 0) + np.arange(config.population)
    accuracies: list[float] = []
    for first in range(0, config.population, AT_ONCE):
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds[first : first + AT_ONCE]))
        result = training.fit_population(
            classification_loss(model.apply), jax.vmap(model.init)(keys), images.train,
            training.make_optimizer(config.optimizer, config.learning_rate),
            batch_size=config.batch_size, epochs=epochs, key=jax.random.key(config.seed or 0),
        )  # fmt: skip
        accuracies += _accuracies(model, result.params, images.test)
    mean, deviation = np.mean(accuracies), np.std(accuracies, ddof=1) if len(accuracies) > 1 else 0.0
    line = f"test accuracy of {len(accuracies)} seeds after {epochs} epochs: {mean:.2%} ± {deviation:.2%}"
    print(line, f"written: {folder.path}/table.json", sep="\n")
    table = {"summary": line, "seeds": seeds.tolist(), "test_accuracy": accuracies}
    folder.write("table.json", json.dumps(table, indent=1) + "\n")
    return accuracies


def _accuracies(model: Model, stacked: Any, test: Split) -> list[float]:
    @jax.jit
    def of_one(params: Any) -> jax.Array:
        return jnp.mean(jnp.argmax(model.apply(params, scale_pixels(jnp.asarray(test.x))), axis=1) == test.y)

    return [float(share) for share in jax.lax.map(of_one, stacked)]


def _folder(name: str, config: TrainingConfig) -> RunFolder:
    training.check_arithmetic()
    if config.resume:
        raise OptionError("Expected --resume or --population, found both: a population is trained in one go.")
    folder = RunFolder.choose(f"{name}_population", config.out, resume=False, overwrite=config.overwrite)
    folder.begin({"experiment": name, **dataclasses.asdict(config)})
    return folder
