"""Modules of Flax, Linen and NNX, with batch statistics, attention and dropout."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from functional_nets.gradcheck import check
from tests.gradcheck.agreement import assert_agree

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 8, 8, 2))
WORDS = RANDOM.integers(0, 7, (2, 5))
LABELS = np.array([0, 2, 1])


class Cnn(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.Conv(3, (3, 3), strides=(2, 2))(x)
        x = linen.BatchNorm(use_running_average=not train)(x)
        x = linen.relu(x)
        x = linen.avg_pool(linen.max_pool(x, (2, 2)), (2, 2), strides=(1, 1), padding="SAME")
        return linen.Dense(3)(x.reshape(len(x), -1))


class Transformer(linen.Module):
    @linen.compact
    def __call__(self, words):
        x = linen.Embed(7, 4)(words)
        mask = linen.make_causal_mask(words)
        x = x + linen.MultiHeadDotProductAttention(2, dropout_rate=0.2, deterministic=False)(
            linen.LayerNorm()(x), mask=mask
        )
        h = linen.gelu(linen.Dense(6)(linen.RMSNorm()(x)))
        x = x + linen.Dropout(0.3, deterministic=False)(linen.Dense(4)(h))
        return linen.Embed(7, 4).attend(linen.LayerNorm()(x))


def attend(query, key, value, **_):
    """Attention in the type of its inputs; Flax's own always takes the softmax in float32."""
    scores = jnp.einsum("...qhd,...khd->...hqk", query, key) / np.sqrt(query.shape[-1])
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(scores), value)


class NnxBlock(nnx.Module):
    def __init__(self, rngs, attention_fn):
        self.embed = nnx.Embed(7, 4, dtype=jnp.float64, rngs=rngs)  # Else it rounds to float32.
        self.attention = nnx.MultiHeadAttention(2, 4, attention_fn=attention_fn, decode=False, rngs=rngs)
        self.first, self.second = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(4, rngs=rngs) for _ in range(2)])
        self.dropout = nnx.Dropout(0.3)  # Its random numbers come with the call.

    def __call__(self, words, key):
        x = self.embed(words)
        x = x + self.attention(self.norms[0](x))
        return x + self.dropout(self.second(nnx.gelu(self.first(self.norms[1](x)))), rngs=nnx.Rngs(key))


class NnxCnn(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 3, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dense = nnx.Linear(3 * 16, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), strides=(2, 2))
        return self.dense(x.reshape(len(x), -1))


def filled(shapes):
    """Parameters of the given shapes: the initializers would have to be compiled."""
    return jax.tree.map(lambda leaf: 0.5 * RANDOM.normal(size=leaf.shape), shapes)


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))


@pytest.mark.parametrize("train", [True, False])
def test_a_convolutional_network_of_linen_with_batch_statistics(train):
    module = Cnn()
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.asarray(IMAGES), False))
    variables = filled(shapes)
    statistics = jax.tree.map(np.abs, variables["batch_stats"])

    def loss_fn(params, x, labels):
        everything = {"params": params, "batch_stats": statistics}
        logits, _ = module.apply(everything, x, train, mutable=["batch_stats"])
        return cross_entropy(logits, labels)

    assert_agree(loss_fn, variables["params"], IMAGES, LABELS)


@pytest.mark.long
def test_a_transformer_of_linen_with_dropout():
    module = Transformer()
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    params = filled(jax.eval_shape(lambda: module.init(keys, jnp.asarray(WORDS)))["params"])

    def loss_fn(params, words, key):
        logits = module.apply({"params": params}, words, rngs={"dropout": key})
        return cross_entropy(logits[:, :-1], words[:, 1:])

    assert_agree(loss_fn, params, WORDS, jax.random.key(2))


def block_of_nnx(attention_fn):
    with jax.enable_x64(True):
        graph, params = nnx.split(nnx.eval_shape(lambda: NnxBlock(nnx.Rngs(0), attention_fn)))

    def loss_fn(params, words, key):
        return jnp.mean(jnp.sin(nnx.merge(graph, params)(words, key)) ** 2)

    return loss_fn, filled(params)


def test_a_block_of_nnx_with_attention_and_dropout():
    assert_agree(*block_of_nnx(attend), WORDS, jax.random.key(2))


def test_what_rounds_to_float32_by_itself_is_judged_by_it():
    loss_fn, params = block_of_nnx(nnx.dot_product_attention)
    report = check(loss_fn, params, WORDS, jax.random.key(2))
    assert report.ok
    assert report.witnesses["jax.grad"] > 1e-10


def test_a_convolutional_network_of_nnx_with_batch_statistics():
    graph, params, statistics = nnx.split(nnx.eval_shape(lambda: NnxCnn(nnx.Rngs(0))), nnx.Param, ...)

    def loss_fn(params, statistics, x, labels):
        return cross_entropy(nnx.merge(graph, params, statistics, copy=True)(x), labels)

    assert_agree(loss_fn, filled(params), filled(statistics), IMAGES, LABELS)
