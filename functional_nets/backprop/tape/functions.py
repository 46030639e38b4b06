"""Functions by name, as notebook 001 arrives at them: recorded of variables, plain numbers of arrays."""

from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import plain
from functional_nets.backprop.tape.variable import primitive

add, sub, mul, div, neg, power = np.add, np.subtract, np.multiply, np.divide, np.negative, np.power
square, sqrt, exp, log, sin, cos, tanh = np.square, np.sqrt, np.exp, np.log, np.sin, np.cos, np.tanh


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow on either side."""
    return primitive("logistic", x, compute=stable_logistic)


def stable_logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)) from exp(-|x|), which is at most 1."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def relu(x: Any) -> Any:
    """X where it is positive, else 0; at 0 its slope is 0."""
    return primitive("relu", x)


def log_softmax(x: Any) -> Any:
    """The logarithm of the softmax of each row, without overflow."""
    shifted = x - np.max(plain(x), axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def softmax(x: Any) -> Any:
    """Positive numbers in the proportion of exp(x) that add up to 1 in each row."""
    return np.exp(log_softmax(x))
