"""PyTorch's tutorial network on Fashion-MNIST, 784-512-512-10: 71 % after ten epochs, as the tutorial.

Notebook `004` trains it for ten epochs in batches of 64 at a learning rate of 0.001, in the data's own order
(`--no-shuffle`), and prints 44.9 % and 56.2 % after the first two. The learning rate is small for plain gradient
descent: with `--optimizer adam` the same network reaches 89.2 %, and 87.9 % without shuffling.
"""

from dataclasses import dataclass

from experiments._classifier import train_classifier
from experiments._command import option
from experiments._main import main
from experiments._options import EpochsConfig
from experiments._training import Result
from functional_nets.models import Model, mlp

DATASET = "fashion_mnist"


@dataclass(frozen=True)
class Config(EpochsConfig):
    """What can be set."""

    learning_rate: float = option(1e-3, "step size of the optimizer")
    batch_size: int = option(64, "examples of a step; the last of an epoch has the 32 that are left")
    shuffle: bool = option(True, "take the data in their own order, as the notebook does")


def model(config: Config) -> Model:
    """Returns the network that the options ask for."""
    return mlp((784, 512, 512, 10), product_dtype=config.product_dtype)


def run(config: Config) -> Result:
    """Returns the result of one training, after writing its files."""
    config.check()
    return train_classifier("fashion_mnist", DATASET, config, model(config), shuffle=config.shuffle)


if __name__ == "__main__":
    main(Config, "fashion_mnist", __doc__, run)
