"""A whole epoch of notebook `004`'s network, against PyTorch's from the same initial weights."""

import os
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from functional_nets import data, training
from functional_nets.models import mlp
from functional_nets.nn import classification_loss

FOLDER = Path(os.environ.get("FUNCTIONAL_NETS_DATA") or Path(__file__).parents[3] / "shared" / "data")
SIZES = (784, 512, 512, 10)

# python scripts/agree_with_pytorch.py --peer PATH/pytorch.py --data-dir FOLDER, with torch 2.13.0 on CPU.
PYTORCHS_LOSS = 2.242778063


def initial_params():
    """The weights of that script: PyTorch's layout and order, NumPy's frozen stream."""
    random = np.random.RandomState(0)
    params = {}
    for number, (inputs, outputs) in enumerate(pairwise(SIZES), 1):
        w, b = (
            random.uniform(-(inputs**-0.5), inputs**-0.5, shape).astype(np.float32)
            for shape in ((outputs, inputs), (outputs,))
        )
        params[f"dense{number}"] = {"w": w.T, "b": b}
    return params


@pytest.mark.skipif(not (FOLDER / "fashion_mnist").is_dir(), reason=f"all of Fashion-MNIST is not in {FOLDER}")
def test_an_epoch_in_the_datas_order_has_pytorchs_mean_training_loss():
    images = data.load("fashion_mnist", source="idx", data_dir=FOLDER)
    loss = classification_loss(mlp(SIZES).apply)
    result = training.fit(
        loss, initial_params(), images.train, optimizer=optax.sgd(1e-3), batch_size=64, epochs=1,
        shuffle=False, key=jax.random.key(0),
    )  # fmt: skip
    assert len(result.losses) == 938
    assert result.history[0]["train_loss"] == pytest.approx(PYTORCHS_LOSS, rel=1e-5)
