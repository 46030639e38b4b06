"""The layers of the book "Deep Learning from Scratch", with their derivatives from the table of rules."""

from functional_nets.backprop.layers.activations import Relu, Sigmoid, Tanh
from functional_nets.backprop.layers.affine import Affine
from functional_nets.backprop.layers.arithmetic import Add, Mul
from functional_nets.backprop.layers.convolution import Convolution, Pooling
from functional_nets.backprop.layers.layer import Layer
from functional_nets.backprop.layers.loss import SoftmaxWithLoss
from functional_nets.backprop.layers.network import Sequential, TwoLayerNet
from functional_nets.backprop.layers.regularization import BatchNorm, Dropout

__all__ = [
    "Layer", "Mul", "Add", "Relu", "Sigmoid", "Tanh", "Affine", "Convolution", "Pooling", "SoftmaxWithLoss",
    "Dropout", "BatchNorm", "Sequential", "TwoLayerNet",
]  # fmt: skip
