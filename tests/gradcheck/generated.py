"""Random differentiable functions: compositions of arrays of any small shape, empty and size-1 axes included."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

LARGEST = 64  # Elements of an intermediate value; a larger one is summed up.


def axis_of(x, k):
    return k % x.ndim if x.ndim else None


def over_axis(reduce, identity=True):
    """A reduction over one axis, or over all; over an empty one only if that is defined."""

    def apply(x, k):
        axis = None if k % 4 == 3 else axis_of(x, k)
        if not identity and x.size == 0:
            return x
        return reduce(x, axis=axis, keepdims=bool(k % 2))

    return apply


def along_axis(function):
    """A function that keeps the shape and works along one axis."""
    return lambda x, k: function(x, axis_of(x, k)) if x.ndim and x.size else x


def part(x, k):
    if not x.ndim:
        return x
    axis = axis_of(x, k)
    n = x.shape[axis]
    return jax.lax.slice_in_dim(x, min(k % 2, n), n, 1 + k % 2, axis)


def gathered(x, k):
    if not x.ndim or not x.size:
        return x
    n = x.shape[axis_of(x, k)]
    return jnp.take(x, np.array([0, n - 1, 0, k % n]), axis=axis_of(x, k))


def padded(x, k):
    return jnp.pad(x, [(k % 2, k % 3 % 2)] * x.ndim, constant_values=0.5) if x.ndim else x


def scattered(x, k):
    if not x.ndim or not x.shape[0]:
        return x
    places = np.array([k % x.shape[0], 0])
    return x.at[places].add(0.3 * x[0]) if k % 2 else x.at[k % x.shape[0]].set(jnp.sin(x[0]))


def windowed(x, k):
    if not x.ndim or 0 in x.shape:
        return x
    combine, start = (jax.lax.max, -np.inf) if k % 2 else (jax.lax.add, 0.0)
    size = tuple(min(n, 2) for n in x.shape)
    return jax.lax.reduce_window(x, start, combine, size, (1,) * x.ndim, "SAME" if k > 3 else "VALID")


UNARY = {
    "tanh": lambda x, k: jnp.tanh(x),
    "sin": lambda x, k: jnp.sin(x),
    "cos": lambda x, k: jnp.cos(x),
    "exp": lambda x, k: jnp.exp(jnp.tanh(x)),
    "log": lambda x, k: jnp.log(1.5 + x * x),
    "log1p": lambda x, k: jnp.log1p(x * x),
    "expm1": lambda x, k: jnp.expm1(jnp.sin(x)),
    "sqrt": lambda x, k: jnp.sqrt(1 + x * x),
    "rsqrt": lambda x, k: jax.lax.rsqrt(1 + x * x),
    "power": lambda x, k: (1 + jnp.abs(x)) ** (0.5 + k),
    "integer_power": lambda x, k: jnp.tanh(x) ** (k % 5),
    "reciprocal": lambda x, k: 1 / (2 + jnp.sin(x)),
    "abs": lambda x, k: jnp.abs(x),
    "relu": lambda x, k: jax.nn.relu(x),
    "gelu": lambda x, k: jax.nn.gelu(x, approximate=bool(k % 2)),
    "silu": lambda x, k: jax.nn.silu(x),
    "elu": lambda x, k: jax.nn.elu(x),
    "softplus": lambda x, k: jax.nn.softplus(x),
    "erf": lambda x, k: jax.scipy.special.erf(x),
    "clip": lambda x, k: jnp.clip(x, -0.8, 0.9),
    "sum": over_axis(jnp.sum),
    "mean": over_axis(jnp.mean, identity=False),
    "max": over_axis(jnp.max, identity=False),
    "min": over_axis(jnp.min, identity=False),
    "prod": over_axis(jnp.prod),
    "var": over_axis(jnp.var, identity=False),
    "logsumexp": over_axis(jax.nn.logsumexp, identity=False),
    "softmax": along_axis(jax.nn.softmax),
    "log_softmax": along_axis(jax.nn.log_softmax),
    "cumsum": along_axis(jnp.cumsum),
    "cumprod": along_axis(jnp.cumprod),
    "sort": along_axis(jnp.sort),
    "reverse": along_axis(jnp.flip),
    "roll": along_axis(lambda x, axis: jnp.roll(x, 1, axis)),
    "transpose": lambda x, k: jnp.transpose(x, np.roll(range(x.ndim), k)),
    "flatten": lambda x, k: jnp.ravel(x),
    "new_axis": lambda x, k: jnp.expand_dims(x, k % (x.ndim + 1)) if x.ndim < 4 else x,
    "squeeze": lambda x, k: jnp.squeeze(x),
    "stretch": lambda x, k: jnp.broadcast_to(x, (1 + k % 3, *x.shape)) if x.ndim < 4 else x,
    "tile": lambda x, k: jnp.tile(x, (2,) * x.ndim),
    "slice": part,
    "gather": gathered,
    "pad": padded,
    "scatter": scattered,
    "window": windowed,
    "stop": lambda x, k: x * jax.lax.stop_gradient(jnp.cos(x)),
    "jit": lambda x, k: jax.jit(lambda y: y * jnp.sin(y))(x),
    "remat": lambda x, k: jax.checkpoint(lambda y: jnp.tanh(y) * y)(x),
    "vmap": lambda x, k: jax.vmap(lambda row: row * jnp.sum(row))(x) if x.ndim else x,
}
BINARY = {
    "add": lambda x, y, k: x + y,
    "sub": lambda x, y, k: x - y,
    "mul": lambda x, y, k: x * y,
    "div": lambda x, y, k: x / (2 + jnp.tanh(y)),
    "maximum": lambda x, y, k: jnp.maximum(x, y),
    "minimum": lambda x, y, k: jnp.minimum(x, y),
    "arctan2": lambda x, y, k: jnp.arctan2(x, 2 + jnp.abs(y)),
    "hypot": lambda x, y, k: jnp.hypot(1 + jnp.abs(x), y),
    "power": lambda x, y, k: (1.5 + jnp.tanh(x)) ** jnp.sin(y),
    "logaddexp": lambda x, y, k: jnp.logaddexp(x, y),
    "where": lambda x, y, k: jnp.where(x > 0.1 * k, x, y),
    "outer": lambda x, y, k: jnp.outer(x, y),
    "matmul": lambda x, y, k: jnp.einsum("...i,...i->...", *jnp.broadcast_arrays(x, y)) if x.ndim else x * y,
    "concatenate": lambda x, y, k: jnp.concatenate([jnp.ravel(x), jnp.ravel(y), jnp.ravel(x)]),
    "stack": lambda x, y, k: jnp.stack(jnp.broadcast_arrays(x, y), axis=k % (x.ndim + 1)),
}  # fmt: skip

steps = st.tuples(
    st.sampled_from([*(("unary", name) for name in UNARY), *(("binary", name) for name in BINARY)]),
    st.integers(0, 11), st.integers(0, 11), st.integers(0, 7),
)  # fmt: skip
shapes = st.lists(st.sampled_from([0, 1, 2, 3, 1, 2]), max_size=3).map(tuple)
functions = st.tuples(st.lists(shapes, min_size=1, max_size=3), st.lists(steps, min_size=2, max_size=6))


def broadcastable(x, y):
    try:
        return np.prod(np.broadcast_shapes(x.shape, y.shape)) <= LARGEST
    except ValueError:
        return False


def loss_of(program):
    """The loss that a drawn program describes; each leaf is used twice, once far down."""

    def loss(leaves):
        values = list(leaves)
        for (kind, name), first, second, k in program:
            x, y = (values[-1 - i % len(values)] for i in (first, second))
            if kind == "unary":
                found = UNARY[name](x, k)
            else:
                found = BINARY[name](x, y if broadcastable(x, y) else jnp.sum(y), k)
            values.append(found if found.size <= LARGEST else jnp.sum(found))
        return sum(jnp.sum(weights(x) * x) for x in (values[-1], values[-2], *leaves))

    return loss


def weights(x):
    return (1.3 + jnp.sin(1 + jnp.arange(x.size, dtype=x.dtype))).reshape(x.shape)


def example(shapes, seed=0):
    random = np.random.default_rng(seed)
    return [random.uniform(-1.5, 1.5, shape) for shape in shapes]
