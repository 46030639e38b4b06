"""Labels of any integer type train alike: they are no pixels."""

import jax
import numpy as np
import optax
import pytest

import functional_nets as fn

X = np.random.default_rng(0).integers(0, 256, (12, 4)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_are_not_scaled_like_pixels(dtype):
    model = fn.models.mlp((4, 3))
    loss_fn = fn.nn.classification_loss(model.apply)
    params = model.init(jax.random.key(0))
    labels = (np.arange(12) % 3).astype(dtype)
    fitted = fn.training.fit(
        loss_fn, params, (X, labels), optimizer=optax.sgd(0.1), batch_size=12, epochs=1, key=jax.random.key(1)
    )
    assert fitted.losses[0] == pytest.approx(float(loss_fn(params, X, labels.astype(np.int32))), rel=1e-6)
