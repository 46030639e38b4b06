"""XOR with the 9 parameters of notebook `000`: learnt in 10,001 steps, to the notebook's own eleven losses.

The network is 2-2-1 with sigmoids, trained on the whole table at a learning rate of 0.5. It starts from the
weights that the notebook drew, unless `--seed` draws others; from some of those it does not learn XOR.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._command import OptionError, option
from experiments._main import main
from experiments._options import TrainingConfig
from experiments._populations import Cell, xor_population
from experiments._training import Result, train
from functional_nets import training
from functional_nets.models import Model, xor_net
from functional_nets.nn import binary_cross_entropy_loss
from functional_nets.report import Frame, Section, surface_section

REPLAYED, DENSE = 50, 25
"""States that the decision surface is drawn from; the first 25, where most happens, and then each fifth."""

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
LABELS = np.array([0, 1, 1, 0], np.int32)

NOTEBOOK_PARAMS = {
    # PyTorch with seed 70, the second network drawn; PyTorch keeps one row per output, transposed here.
    "hidden": {
        "w": np.array([[0.1054214910, 0.5516487956], [-0.2942870855, -0.6495048404]], np.float32).T,
        "b": np.array([-0.0702099875, -0.6682905555], np.float32),
    },
    "output": {
        "w": np.array([[0.0258923266, -0.2244000137]], np.float32).T,
        "b": np.array([0.0286399629], np.float32),
    },
}


@dataclass(frozen=True)
class Config(TrainingConfig):
    """What can be set."""

    seed: int | None = option(None, "seed of the initial weights (default: the notebook's own weights)")
    learning_rate: float = option(0.5, "step size of the optimizer")
    batch_size: int = option(4, "examples of a step; 4 is the whole table")
    steps: int = option(10_001, "steps")
    population: int = option(0, "train so many networks instead, over initial ranges, learning rates and precisions")

    @property
    def length(self) -> dict[str, int]:
        """`steps`."""
        return {"steps": self.steps}

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        super().check()
        if self.population < 0:
            raise OptionError(f"Expected --population of at least 0, found {self.population}: 10000 is usual.")
        if self.source not in ("auto", "embedded") or self.data_dir is not None:
            raise OptionError(
                f"Expected --source auto or embedded and no --data-dir, found {self.source} and "
                f"{self.data_dir}: the four rows of XOR are in the program."
            )


def model(config: Config) -> Model:
    """Returns the network that the options ask for."""
    return xor_net(product_dtype=config.product_dtype)


def initial_params(config: Config) -> Any:
    """Returns the notebook's own weights, or those of a seed."""
    return NOTEBOOK_PARAMS if config.seed is None else model(config).init(jax.random.key(config.seed))


def steps_per_epoch(config: Config) -> int:
    """Returns how many batches the table makes."""
    return -(-len(X) // config.batch_size)


def epochs_per_report(config: Config) -> int:
    """Returns how many epochs lie between two rows of the metrics: a thousand steps."""
    return -(-1000 // steps_per_epoch(config))


def make_evaluate(config: Config) -> Callable[[Any], dict[str, float]]:
    """Returns what measures a network on the table: from parameters to `test_accuracy` and `test_loss`."""
    apply = model(config).apply
    loss_fn = binary_cross_entropy_loss(apply)

    @jax.jit
    def score(params: Any) -> tuple[jax.Array, jax.Array]:
        answers = jax.nn.sigmoid(apply(params, jnp.asarray(X))[:, 0]) >= 0.5
        return jnp.mean(answers == LABELS), loss_fn(params, X, LABELS)

    def evaluate(params: Any) -> dict[str, float]:
        accuracy, loss = score(params)
        return {"test_accuracy": float(accuracy), "test_loss": float(loss)}

    return evaluate


def run(config: Config) -> Result | list[Cell]:
    """Returns the result of one training, or of a population, after writing its files."""
    config.check()
    if config.population:
        return xor_population(config, (X, LABELS))
    source = {
        "dataset": "the table of XOR", "source": "embedded", "complete": True, "notice": None,
        "seen": True, "test_examples": len(X),
    }  # fmt: skip
    return train(
        "xor", config, binary_cross_entropy_loss(model(config).apply), initial_params(config), (X, LABELS),
        make_evaluate(config), source,
        shuffle=config.batch_size < len(X), epochs_per_report=epochs_per_report(config),
        sections=lambda params: sections(config, params),
    )  # fmt: skip


def sections(config: Config, params: Any) -> list[Section]:
    """Returns what the report shows: the decision surface through training."""
    apply = jax.jit(lambda params, x: jax.nn.sigmoid(model(config).apply(params, x)[:, 0]))
    first = replay(config)
    frames = [*first[:DENSE], *first[DENSE :: DENSE // 5]]
    if frames[-1].step < config.steps:
        frames.append(Frame(config.steps, params))
    return [surface_section(apply, frames, X, LABELS)]


def replay(config: Config) -> list[Frame]:
    """Returns the network at fifty equal distances of the first 10,000 steps, by training it again.

    That takes a fraction of a second and gives the same parameters, bit for bit; a checkpoint each two hundred steps
    would take longer than the training.
    """
    frames = [Frame(0, initial_params(config))]
    epochs = max(1, min(config.steps, 10_000) // steps_per_epoch(config) // REPLAYED)
    count = min(config.steps // steps_per_epoch(config) // epochs, REPLAYED)
    if count:
        training.fit(
            binary_cross_entropy_loss(model(config).apply), frames[0].params, (X, LABELS),
            optimizer=training.make_optimizer(config.optimizer, config.learning_rate),
            batch_size=config.batch_size, epochs=epochs * count, key=jax.random.key(config.seed or 0),
            shuffle=config.batch_size < len(X), epochs_per_report=epochs, max_skipped=config.most_skipped,
            on_report=lambda state, row: frames.append(Frame(row["step"], jax.tree.map(np.array, state.params))),
        )  # fmt: skip
    return frames


if __name__ == "__main__":
    main(Config, "xor", __doc__, run)
