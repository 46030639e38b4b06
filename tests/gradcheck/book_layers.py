"""Layers in the book's style, right, for the tests to get wrong."""

import numpy as np


class Affine:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class ReluInPlace(Relu):
    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class Pool:
    """Maxima of neighbouring pairs."""

    def forward(self, x):
        self.pairs = x.reshape(len(x), -1, 2)
        return self.pairs.max(axis=2)

    def backward(self, dout):
        dx = np.zeros(self.pairs.shape)
        np.put_along_axis(dx, self.pairs.argmax(axis=2)[..., None], dout[..., None], axis=2)
        return dx.reshape(len(dx), -1)


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -np.sum(t * np.log(self.y)) / len(t)

    def backward(self, dout=1):
        return dout * (self.y - self.t) / len(self.t)


class Network:
    def __init__(self, rng, activation=Relu, affine=Affine, last=SoftmaxWithLoss):
        self.params = {
            "w1": rng.normal(size=(5, 4)), "b1": rng.normal(size=4),
            "w2": rng.normal(size=(4, 3)), "b2": rng.normal(size=3),
        }  # fmt: skip
        self.layers = {
            "affine1": Affine(self.params["w1"], self.params["b1"]),
            "activation": activation(),
            "affine2": affine(self.params["w2"], self.params["b2"]),
        }
        self.lastLayer = last()

    def loss(self, x, t):
        for layer in self.layers.values():
            x = layer.forward(x)
        return self.lastLayer.forward(x, t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.lastLayer.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)
        first, second = self.layers["affine1"], self.layers["affine2"]
        return {"w1": first.dw, "b1": first.db, "w2": second.dw, "b2": second.db}
