"""What several of the networks need."""

import numpy as np


def softmax(z, axis=-1):
    """Of each row, with the maximum subtracted."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))
