"""Functions with a `jax.custom_vjp`, whose rule is or is not the derivative of what they compute."""

import jax
import jax.numpy as jnp
import numpy as np

from ..objects import rule

X = np.random.default_rng(0).normal(size=5)
W = np.random.default_rng(1).normal(size=(4, 4))


def custom(forward, backward):
    """A decorated function from its forward (which returns residuals too) and its backward pass."""

    def f(*args):
        return forward(*args)[0]

    f.__name__ = forward.__name__.removesuffix("_forward")
    g = jax.custom_vjp(f)
    g.defvjp(forward, backward)
    return g


def log1pexp_forward(x):
    """log(1 + eˣ)."""
    return jnp.log1p(jnp.exp(x)), x


def log1pexp_backward(x, g):
    """JAX's own example."""
    return (g * (1 - 1 / (1 + jnp.exp(x))),)


def log1pexp_of_the_output_forward(x):
    """log(1 + eˣ), keeping the wrong array."""
    y = jnp.log1p(jnp.exp(x))
    return y, y


def log1pexp_sign_forward(x):
    """log(1 + eˣ) with a slip in its rule."""
    return jnp.log1p(jnp.exp(x)), x


def log1pexp_sign_backward(x, g):
    """A plus for the minus."""
    return (g * (1 + 1 / (1 + jnp.exp(x))),)


def norm_forward(x):
    """Euclidean length."""
    y = jnp.sqrt(jnp.sum(x**2))
    return y, (x, y)


def norm_backward(residuals, g):
    """The unit vector."""
    x, y = residuals
    return (g * x / y,)


def norm_alone_forward(x):
    """Euclidean length."""
    y = jnp.sqrt(jnp.sum(x**2))
    return y, (x, y)


def norm_alone_backward(residuals, g):
    """The unit vector, without what comes from above."""
    x, y = residuals
    return (x / y,)


def clip_gradient_forward(x):
    """The identity."""
    return x, None


def clip_gradient_backward(_, g):
    """Clipped so tightly that it shows."""
    return (jnp.clip(g, -1e-2, 1e-2),)


def round_straight_through_forward(x):
    """Rounded."""
    return jnp.round(x), None


def round_straight_through_backward(_, g):
    """Straight through, as it is meant."""
    return (g,)


def product_forward(x, w):
    """A matrix product."""
    return x @ w, (x, w)


def product_backward(residuals, g):
    """Both operands."""
    x, w = residuals
    return g @ w.T, x.T @ g


def product_transposed_forward(x, w):
    """A matrix product of square matrices."""
    return x @ w, (x, w)


def product_transposed_backward(residuals, g):
    """`g w` for `g wᵀ`."""
    x, w = residuals
    return g @ w, x.T @ g


def scaled_forward(x, s):
    """An array times a scalar."""
    return x * s, (x, s)


def scaled_backward(residuals, g):
    """The scalar's gradient is averaged where it is summed."""
    x, s = residuals
    return g * s, jnp.mean(g * x)


def swish_forward(x):
    """Input times its sigmoid."""
    return x * jax.nn.sigmoid(x), x


def swish_backward(x, g):
    """By the product rule."""
    s = jax.nn.sigmoid(x)
    return (g * (s + x * s * (1 - s)),)


def swish_half_forward(x):
    """Input times its sigmoid."""
    return x * jax.nn.sigmoid(x), x


def swish_half_backward(x, g):
    """One half of the product rule."""
    return (g * jax.nn.sigmoid(x),)


def log_sum_exp_forward(x):
    """Of a vector."""
    y = jax.nn.logsumexp(x)
    return y, (x, y)


def log_sum_exp_backward(residuals, g):
    """The softmax."""
    x, y = residuals
    return (g * jnp.exp(x - y),)


def cumulative_forward(x):
    """Running sums."""
    return jnp.cumsum(x), None


def cumulative_backward(_, g):
    """Running sums again; they must run backwards."""
    return (jnp.cumsum(g),)


rule(custom(log1pexp_forward, log1pexp_backward), X)
rule(custom(norm_forward, norm_backward), X)
rule(custom(round_straight_through_forward, round_straight_through_backward), X)
rule(custom(product_forward, product_backward), W, W + 1)
rule(custom(swish_forward, swish_backward), X)
rule(custom(log_sum_exp_forward, log_sum_exp_backward), X)

for mistakes, forward, backward, args in (
    (("wrong_derivative",), log1pexp_of_the_output_forward, log1pexp_backward, (X,)),
    (("sign", "wrong_derivative"), log1pexp_sign_forward, log1pexp_sign_backward, (X,)),
    (("upstream",), norm_alone_forward, norm_alone_backward, (X,)),
    (("upstream",), clip_gradient_forward, clip_gradient_backward, (X,)),
    (("transposed",), product_transposed_forward, product_transposed_backward, (W, W + 1)),
    (("wrong_reduction", "scale"), scaled_forward, scaled_backward, (X, np.array(0.7))),
    (("missing_term", "wrong_derivative"), swish_half_forward, swish_half_backward, (X,)),
    (("permuted", "wrong_axis", "wrong_derivative"), cumulative_forward, cumulative_backward, (X,)),
):
    rule(custom(forward, backward), *args, mistakes=mistakes, blame=(forward, backward))
