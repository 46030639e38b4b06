"""What every hand-written backward pass brings along."""

import numpy as np


def softmax(a):
    """Rows of probabilities."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(a):
    """The logistic function."""
    return 1 / (1 + np.exp(-a))
