"""Modules of Flax as a `Model`."""

import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import ArrayLike

from functional_nets.models.model import Model
from functional_nets.nn import scale_pixels

CALL: Mapping[str, Any] = {}


def from_flax(
    module: Any,
    example: ArrayLike | None = None,
    *,
    training: Mapping[str, Any] = CALL,
    evaluating: Mapping[str, Any] = CALL,
) -> Model:
    """Returns a module of Flax, Linen or NNX, as a `Model`; its parameters as a nested dict are what is trained.

    `apply(params, x)` is the module when it is evaluated: dropout drops nothing. `apply(params, x, key=key)` is the
    module when it is trained, whose dropout draws from the key. The losses of `nn` hand a `key` on, and
    `training.fit(…, stochastic=True)` gives them one for each step.

    Args:
        module: A `flax.linen.Module`; or a `flax.nnx.Module`, with the parameters that it has, which `init` then
            returns for any key; or what makes an NNX module when it is called with `rngs`, such as its class.
        example: A batch of the shape that a Linen module takes, to find the shapes of its parameters; NNX needs none.
        training: By which keywords the module is called with a key, such as `{"train": True}`.
        evaluating: By which it is called without one, such as `{"train": False}`. NNX modules need neither if they
            follow `module.train()` and `module.eval()`, as Flax's own layers do.

    Raises:
        ValueError: The module keeps state beside its parameters, such as running averages of batches; or is none,
            but a class of Linen or a function, say.
    """
    if _is_a("flax.linen", module):
        return _from_linen(module, example, training, evaluating)
    if isinstance(module, type) and issubclass(module, _modules("flax.linen")):
        raise ValueError(f"Expected a Linen module, found the class {module.__name__}: give {module.__name__}(…).")
    if callable(module) or _is_a("flax.nnx", module):
        from functional_nets.models.flax_nnx import from_nnx

        return from_nnx(module, training, evaluating, given=_is_a("flax.nnx", module))
    raise ValueError(f"Expected a module of Flax, found {type(module).__name__}: give a Linen or NNX module.")


def refuse_state(names: str, *, averages: bool) -> None:
    """Raises ValueError: a model is a pure function of its parameters.

    Args:
        names: What else it keeps.
        averages: Whether that is running averages of batches.
    """
    remedy = (
        "running averages; use LayerNorm or GroupNorm instead of BatchNorm"
        if averages
        else "what changes from call to call; leave it out, or make it a parameter"
    )
    raise ValueError(
        f"Expected a module whose only state is its parameters, found {names}: a pure function cannot keep {remedy}."
    )


def _modules(library: str) -> tuple[type, ...]:
    """The class of the library's modules; none if it has not been loaded, so that nothing can be one."""
    return (sys.modules[library].Module,) if library in sys.modules else ()


def _is_a(library: str, module: Any) -> bool:
    return isinstance(module, _modules(library))


def _from_linen(module: Any, example: ArrayLike | None, training: Mapping, evaluating: Mapping) -> Model:
    if example is None:
        raise ValueError("Expected an example with a Linen module, found none: give a batch, to find the shapes.")
    example = jnp.asarray(example)

    def init_all(key: Array) -> Any:
        return module.init(key, scale_pixels(example), **evaluating)

    state = {name: tree for name, tree in jax.eval_shape(init_all, jax.random.key(0)).items() if name != "params"}
    if state:
        found = ", ".join(f"{name} in {', '.join(tree)}" for name, tree in state.items())
        refuse_state(found, averages="batch_stats" in state)

    def init(key: Array) -> Any:
        return init_all(key)["params"]

    def apply(params: Any, x: Array, key: Array | None = None) -> Array:
        # Streams of other names than dropout's are drawn from that of "params": Linen's own rule.
        streams = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
        options = evaluating if key is None else training
        return module.apply({"params": params}, scale_pixels(x), rngs=streams, **options)

    return Model(init, apply)
