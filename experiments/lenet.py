"""LeNet on MNIST: more than 98.5 % of the test images right after ten epochs.

The network of notebook `003`, which defines it, follows one random input through it and does not train it:
two convolutions of 3 × 3, two pools, and dense layers 576-120-84-10 on images padded to 32 × 32.
"""

from dataclasses import dataclass

from experiments._classifier import train_classifier
from experiments._command import option
from experiments._main import main
from experiments._options import EpochsConfig
from experiments._training import Result
from functional_nets.models import Model, lenet

DATASET = "mnist"


@dataclass(frozen=True)
class Config(EpochsConfig):
    """What can be set."""

    batch_size: int = option(64, "examples of a step")
    epochs: int = option(10, "passes over the data")


def model(config: Config) -> Model:
    """Returns the network that the options ask for."""
    return lenet(product_dtype=config.product_dtype)


def run(config: Config) -> Result:
    """Returns the result of one training, after writing its files."""
    config.check()
    return train_classifier("lenet", DATASET, config, model(config))


if __name__ == "__main__":
    main(Config, "lenet", __doc__, run)
