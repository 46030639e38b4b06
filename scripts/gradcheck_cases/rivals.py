"""The same gradients given to the checks that JAX and PyTorch have: they say yes or no, and name nothing."""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.test_util
import numpy as np

from .corpus import Control, Fault, cast, leaves


def available() -> dict[str, Callable]:
    """The checks that can run here, by name."""
    checks = {"jax.test_util.check_grads": check_grads}
    if importlib.util.find_spec("torch") is not None:
        checks["torch.autograd.gradcheck"] = torch_gradcheck
    return checks


def accepts(check: Callable, case: Fault | Control) -> bool:
    """Whether the check finds nothing wrong, in float64; a refused shape is a finding too."""
    params, args = cast(case.example(), np.float64)
    manual = case.values()
    loss_fn = case.network.loss_fn if isinstance(case, Fault) else case.loss_fn
    try:
        with jax.enable_x64(True):
            check(loss_fn, params, args, manual)
    except Exception:
        return False
    return True


def check_grads(loss_fn: Callable, params: Any, args: tuple, manual: Any) -> None:
    """The manual gradient as the backward rule of a custom_vjp, computed outside JAX by a callback."""
    shapes = jax.tree.map(lambda p: jax.ShapeDtypeStruct(np.shape(p), np.float64), params)

    @jax.custom_vjp
    def loss(params):
        return loss_fn(params, *args)

    def backward(_, g):
        given = jax.pure_callback(lambda: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), manual), shapes)
        return (jax.tree.map(lambda leaf: g * leaf, given),)

    loss.defvjp(lambda params: (loss(params), None), backward)
    jax.test_util.check_grads(loss, (params,), order=1, modes=["rev"])


def torch_gradcheck(loss_fn: Callable, params: Any, args: tuple, manual: Any) -> None:
    """The manual gradient as the backward of a torch.autograd.Function, the forward pass left to JAX."""
    import torch

    _, tree = jax.tree.flatten(params)
    # JAX sorts dictionaries, and so does `leaves`: the two orders are one.
    gradients = [torch.tensor(np.asarray(leaf, np.float64)) for leaf in leaves(manual)]

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *values):
            arrays = [value.detach().numpy() for value in values]
            return torch.tensor(float(loss_fn(jax.tree.unflatten(tree, arrays), *args)), dtype=torch.float64)

        @staticmethod
        def backward(ctx, g):
            return tuple(g * gradient for gradient in gradients)

    values = [torch.tensor(np.asarray(leaf, np.float64), requires_grad=True) for leaf in leaves(params)]
    torch.autograd.gradcheck(Loss.apply, values)
