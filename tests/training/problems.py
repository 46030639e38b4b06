"""Small things to train on, and losses that tell what they were given."""

import jax.numpy as jnp
import numpy as np

EXAMPLES = 11
"""Not a multiple of `BATCH`, so that each epoch ends with a batch that is not full."""

BATCH = 4
STEPS = 3  # An epoch's.

_random = np.random.RandomState(0)
X = _random.normal(size=(EXAMPLES, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5]) + 0.1 * _random.normal(size=EXAMPLES)).astype(np.float32)
DATA = (X, Y)
PARAMS = {"w": np.zeros(3, np.float32), "b": np.zeros((), np.float32)}


def loss(params, x, y):
    """The mean squared error of a linear model."""
    return ((x @ params["w"] + params["b"] - y) ** 2).mean()


def loss_and_gradient(params, x, y):
    """The same in NumPy, and the gradient's closed form."""
    error = x @ params["w"] + params["b"] - y
    return (error**2).mean(), {"w": 2 * error @ x / len(x), "b": 2 * error.mean()}


NUMBERS = (np.arange(EXAMPLES, dtype=np.float32),)
NOTHING = np.zeros((), np.float32)


def which(params, numbers):
    """A loss that says which examples it was given: bit i is set if it saw example i (fewer than 24)."""
    return (2.0**numbers).sum() + 0 * params


def count(params, numbers):
    """A loss that says how many examples it was given."""
    return jnp.float32(len(numbers)) + 0 * params


def members(losses):
    """What `which` said, as one sorted list of examples per step."""
    return [[example for example in range(EXAMPLES) if int(bits) >> example & 1] for bits in losses]
