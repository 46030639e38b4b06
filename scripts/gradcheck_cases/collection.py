"""All cases."""

from . import (
    assignment,
    attention,
    autoencoder,
    batch_norm,
    convolution,
    deep_sigmoid,
    dropout,
    embedding,
    gru,
    layer_norm,
    linear_regression,
    log_guard,
    logistic_regression,
    lstm,
    recurrent,
    residual,
    scanned,
    strided,
    tanh_net,
    two_layer,
    variational,
    word2vec,
)
from .corpus import CONTROLS, FAULTS

GROUPS = (
    linear_regression,
    logistic_regression,
    log_guard,
    two_layer,
    tanh_net,
    deep_sigmoid,
    assignment,
    autoencoder,
    residual,
    convolution,
    strided,
    batch_norm,
    layer_norm,
    embedding,
    recurrent,
    scanned,
    attention,
    dropout,
    lstm,
    gru,
    variational,
    word2vec,
)

NETWORKS = tuple(dict.fromkeys(fault.network for fault in FAULTS))

CASES = {case.id: case for case in (*FAULTS, *CONTROLS)}

__all__ = ["CASES", "CONTROLS", "FAULTS", "GROUPS", "NETWORKS"]
