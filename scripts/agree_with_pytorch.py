"""Shows that an epoch of Fashion-MNIST has PyTorch's mean training loss, from the same initial weights.

    python scripts/agree_with_pytorch.py --peer PATH/pytorch.py --data-dir FOLDER [--python PYTHON]

The peer is called as `pytorch.py fashion_mnist --data FOLDER --epochs 1 --init FILE.npz` and prints one line
of JSON; FOLDER holds `fashion_mnist/` with the four IDX files, gzipped. PYTHON is an interpreter that has
torch, by default this one. Both train 784-512-512-10 for one epoch in the data's order, in batches of 64, at
a learning rate of 0.001. The exit status is 1 if the mean training losses differ by more than 1e-4 of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import optax

from functional_nets import data, training
from functional_nets.models import mlp
from functional_nets.nn import classification_loss

SIZES = (784, 512, 512, 10)
SEED = 0
TOLERANCE = 1e-4


def initial_weights() -> list[np.ndarray]:
    """Returns weights [outputs, inputs] and biases from U(±1/√inputs), in the order of PyTorch's list."""
    random = np.random.RandomState(SEED)  # Its stream is frozen: a test draws the same.
    arrays = []
    for inputs, outputs in pairwise(SIZES):
        for shape in ((outputs, inputs), (outputs,)):
            arrays.append(random.uniform(-(inputs**-0.5), inputs**-0.5, shape).astype(np.float32))
    return arrays


def train_peer(python: Path, peer: Path, folder: Path, arrays: list[np.ndarray]) -> float:
    """Returns the mean training loss of PyTorch's epoch."""
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "weights.npz"
        np.savez(weights, **{str(number): array for number, array in enumerate(arrays)})
        command = [python, peer, "fashion_mnist", "--data", folder, "--epochs", "1", "--init", weights]
        run = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(run.stdout)["history"][0]["train_loss"]


def train_ours(folder: Path, arrays: list[np.ndarray]) -> float:
    """Returns the mean training loss of this package's epoch."""
    layers = zip(arrays[::2], arrays[1::2], strict=True)
    params = {f"dense{number}": {"w": w.T, "b": b} for number, (w, b) in enumerate(layers, 1)}
    result = training.fit(
        classification_loss(mlp(SIZES).apply), params, data.load("fashion_mnist", data_dir=folder).train,
        optimizer=optax.sgd(1e-3), batch_size=64, epochs=1, shuffle=False, key=jax.random.key(0),
    )  # fmt: skip
    return result.history[0]["train_loss"]


def main() -> None:
    """Trains both and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    options = parser.parse_args()
    arrays = initial_weights()
    theirs = train_peer(options.python, options.peer, options.data_dir, arrays)
    ours = train_ours(options.data_dir, arrays)
    difference = abs(ours - theirs) / theirs
    verdict = "agree" if difference <= TOLERANCE else "DIFFER"
    print(f"mean training loss of one epoch: PyTorch {theirs:.9f}, ours {ours:.9f}")
    print(f"relative difference {difference:.1e}, at most {TOLERANCE:.0e} wanted: they {verdict}")
    raise SystemExit(difference > TOLERANCE)


if __name__ == "__main__":
    main()
