"""All cases."""

from . import (
    assignment,
    autoencoder,
    batch_norm,
    convolution,
    deep_sigmoid,
    layer_norm,
    linear_regression,
    log_guard,
    logistic_regression,
    residual,
    strided,
    tanh_net,
    two_layer,
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
)

NETWORKS = tuple(dict.fromkeys(fault.network for fault in FAULTS))

CASES = {case.id: case for case in (*FAULTS, *CONTROLS)}

__all__ = ["CASES", "CONTROLS", "FAULTS", "GROUPS", "NETWORKS"]
