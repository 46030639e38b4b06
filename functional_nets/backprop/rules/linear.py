"""The linear maps of this package: the rule of each is its partner in the pair."""

from functional_nets.backprop.linear import contract, fold, scatter_add, take, windows
from functional_nets.backprop.rules.table import rule

# fmt: off
rule("take",        lambda g, y, x, *, index: (
                        scatter_add(g, index=index, shape=x.shape),))
rule("scatter_add", lambda g, y, x, *, index: (
                        take(g, index=index),))
rule("windows",     lambda g, y, x, *, strides, dilation: (
                        fold(g, shape=x.shape, strides=strides, dilation=dilation),))
rule("fold",        lambda g, y, x, *, strides, dilation: (
                        windows(g, size=x.shape[-len(strides):], strides=strides, dilation=dilation),))
rule("contract",    lambda g, y, a, b, *, labels: (
                        contract(g, b, labels=(labels[2], labels[1], labels[0])),
                        contract(a, g, labels=(labels[0], labels[2], labels[1]))))
# fmt: on
