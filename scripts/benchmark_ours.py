"""The trainings of the peer, done by this package: what `scripts/benchmark.py` runs and times.

    python scripts/benchmark_ours.py {xor,xor_population,mnist,fashion_mnist,lenet,matmul} [--data DIR]

Prints one JSON line: the seconds of each epoch (or of all steps), without compiling, and of compiling.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

sys.path.insert(0, str(Path(__file__).parents[1]))  # The checkout, whether it is installed or not.

from experiments.xor import LABELS, NOTEBOOK_PARAMS, X
from functional_nets import data, models, nn, training

SETTINGS: dict[str, tuple[float, int, bool]] = {  # Learning rate, batch size, shuffled: as the peer's.
    "mnist": (0.1, 100, True),
    "fashion_mnist": (1e-3, 64, False),
    "lenet": (0.1, 64, True),
}
LARGEST_PRODUCT = 2048  # Rows of the square matrices whose product tells the machine's rate.


def model(task: str, product_dtype: Any, hidden: int | None) -> models.Model:
    """Returns the network of a task; `hidden` sets the width of its hidden layers."""
    if task == "mnist":
        return models.mlp((784, hidden or 50, 10), init=nn.normal(0.01), product_dtype=product_dtype)
    if task == "fashion_mnist":
        return models.mlp((784, hidden or 512, hidden or 512, 10), product_dtype=product_dtype)
    return models.lenet(product_dtype=product_dtype)


def dataset(task: str, folder: Path | None) -> data.Dataset:
    """Returns the images of a task."""
    return data.load("fashion_mnist" if task == "fashion_mnist" else "mnist", data_dir=folder)


def classifier(task: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains on images, and measures each epoch."""
    learning_rate, batch_size, shuffle = SETTINGS[task]
    product_dtype = jnp.bfloat16 if arguments.precision == "bfloat16" else None
    network = model(task, product_dtype, arguments.hidden)
    images = dataset(task, arguments.data)
    train = tuple(array[: arguments.examples] for array in images.train)
    result = training.fit(
        nn.classification_loss(network.apply),
        network.init(jax.random.key(0)),
        train,
        optimizer=optax.sgd(learning_rate),
        batch_size=arguments.batch_size or batch_size,
        epochs=arguments.epochs,
        shuffle=shuffle,
        key=jax.random.key(1),
    )
    accuracy, loss = training.evaluate(network.apply, result.params, images.test)
    return {
        "seconds": [row["seconds"] for row in result.history],
        "compile_seconds": result.compile_seconds,
        "train_loss": result.history[-1]["train_loss"],
        "test_loss": loss,
        "test_accuracy": accuracy,
    }


def xor(arguments: argparse.Namespace) -> dict[str, Any]:
    """Takes all steps as one program, once for each of `epochs` measurements."""
    network = models.xor_net()
    result = training.fit(
        nn.binary_cross_entropy_loss(network.apply),
        NOTEBOOK_PARAMS,
        (X, LABELS),
        optimizer=optax.sgd(0.5),
        batch_size=len(X),
        epochs=arguments.steps * arguments.epochs,
        epochs_per_report=arguments.steps,
        shuffle=False,
        key=jax.random.key(1),
    )
    return {
        "seconds": [row["seconds"] for row in result.history],
        "compile_seconds": result.compile_seconds,
        "losses": [round(float(loss), 4) for loss in result.losses[: arguments.steps : 1000]],
    }


def xor_population(arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains many networks of other seeds together; `seconds` are those of all of them."""
    network = models.xor_net(population=True)
    stacked = jax.vmap(network.init)(jax.random.split(jax.random.key(0), arguments.population))
    results = [
        training.fit_population(
            nn.binary_cross_entropy_loss(network.apply),
            stacked,
            (X, LABELS),
            optax.sgd(0.5),
            batch_size=len(X),
            epochs=arguments.steps,
            epochs_per_program=arguments.steps,
            shuffle=False,
            key=jax.random.key(1),
        )
        for _ in range(arguments.epochs)
    ]
    return {
        "seconds": [result.train_seconds for result in results],
        "compile_seconds": results[0].compile_seconds,
        "population": arguments.population,
    }


def matmul(precision: str) -> dict[str, float]:
    """Measures the most that this machine multiplies, in floating-point operations a second."""
    a = jnp.ones((LARGEST_PRODUCT, LARGEST_PRODUCT), precision)
    product = jax.jit(lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32))
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return {"flop_per_second": 2 * LARGEST_PRODUCT**3 / min(seconds)}


def main() -> None:
    """Runs one task and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["xor", "xor_population", "matmul", *SETTINGS])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10_001)
    parser.add_argument("--population", type=int, default=1000)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--hidden", type=int, help="width of the hidden layers")
    parser.add_argument("--examples", type=int, help="take the first so many images alone")
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    if arguments.task in SETTINGS:
        result = classifier(arguments.task, arguments)
    elif arguments.task == "matmul":
        result = matmul(arguments.precision)
    else:
        result = {"xor": xor, "xor_population": xor_population}[arguments.task](arguments)
    print(json.dumps({"task": arguments.task, "jax": jax.__version__, "cores": os.cpu_count(), **result}))


if __name__ == "__main__":
    main()
