"""Layers, losses and metrics as pure functions."""

from functional_nets.nn.convolution import conv2d, conv_relu_pool2d, max_pool2d
from functional_nets.nn.initializers import Initializer, normal, uniform_fan_in
from functional_nets.nn.layers import dense, flatten, scale_pixels
from functional_nets.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_loss,
    classification_loss,
    mean_squared_error_loss,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    squared_error,
)
from functional_nets.nn.metrics import accuracy
from functional_nets.nn.parameters import count_parameters, summary

__all__ = [
    "dense", "flatten", "scale_pixels",
    "conv2d", "max_pool2d", "conv_relu_pool2d",
    "Initializer", "normal", "uniform_fan_in",
    "softmax_cross_entropy", "sigmoid_binary_cross_entropy", "binary_cross_entropy", "squared_error",
    "classification_loss", "binary_cross_entropy_loss", "mean_squared_error_loss",
    "accuracy",
    "count_parameters", "summary",
]  # fmt: skip
