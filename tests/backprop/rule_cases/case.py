"""One case of a rule: a primitive applied to inputs, and what JAX makes of it."""

import contextlib
import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Solution(NamedTuple):
    """What JAX computes: the value, a cotangent, and the gradient of each input that has one."""

    y: Any
    g: Any
    gradients: tuple[Any, ...]


class Case:
    """A primitive applied to inputs.

    Args:
        name: The primitive.
        inputs: Its inputs, or those of `function`.
        label: What is special about the case.
        function: A JAX function that applies the primitive; the equation gives its inputs and params.
        reference: A JAX function that computes the same as the primitive, where JAX has no such primitive.
        params: The params of the primitive, where there is no `function`.
        fixed: Float inputs of the primitive that have no gradient.
        unknown: Inputs whose gradient JAX fails to give or gets wrong; differences check them alone.
        smooth: Whether differences can check the case: not at a tie or a pole.
        valued: Whether the table of values holds the primitive.
        refused: Whether the rule refuses these inputs.
        compiled: Whether JAX computes the case too. One that is much like another can do without, since
            differences check it, and what takes time here is to compile.
    """

    def __init__(
        self,
        name: str,
        *inputs: Any,
        label: str = "",
        function: Callable[..., Any] | None = None,
        reference: Callable[..., Any] | None = None,
        params: dict[str, Any] | None = None,
        fixed: tuple[int, ...] = (),
        unknown: tuple[int, ...] = (),
        smooth: bool = True,
        valued: bool = True,
        refused: bool = False,
        compiled: bool = True,
    ):
        self.name, self.function, self.reference = name, function, reference
        self.fixed, self.unknown, self.smooth, self.valued = fixed, unknown, smooth, valued
        self.refused, self.compiled = refused, compiled and not refused and (function or reference) is not None
        self._given, self._params = tuple(map(np.asarray, inputs)), params or {}
        shapes = " ".join(str(x.shape).replace(" ", "") for x in self._given)
        self.label = " ".join(part for part in (name, label, shapes) if part)

    def __repr__(self) -> str:
        return self.label

    @functools.cached_property
    def equation(self) -> tuple[Callable[..., Any] | None, tuple[np.ndarray, ...], dict[str, Any]]:
        """A function of JAX that computes the value, or None; the primitive's inputs; its params."""
        if self.function is None:
            return self.reference, self._given, self._params
        with jax.enable_x64(True):
            primitive, inputs, params = self._find(jax.make_jaxpr(self.function)(*self._given), self._given)
        return functools.partial(_apply, primitive, params), tuple(map(np.asarray, inputs)), params

    def _find(self, closed: Any, inputs: Sequence[Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return the equation of the primitive, with the values that its inputs have."""
        known = dict(zip([*closed.jaxpr.invars, *closed.jaxpr.constvars], [*inputs, *closed.consts], strict=True))
        for eqn in closed.jaxpr.eqns:
            values = tuple(np.asarray(v.val if hasattr(v, "val") else known[v]) for v in eqn.invars)
            if eqn.primitive.name == self.name:
                return eqn.primitive, values, dict(eqn.params)
            if "jaxpr" in eqn.params:
                return self._find(eqn.params["jaxpr"], values)
            outputs = eqn.primitive.bind(*values, **eqn.params)
            known.update(zip(eqn.outvars, outputs if eqn.primitive.multiple_results else [outputs], strict=True))
        raise LookupError(f"Expected an equation {self.name!r} in the case {self.label!r}, got\n{closed}")

    @property
    def inputs(self) -> tuple[np.ndarray, ...]:
        """The inputs of the primitive."""
        return self.equation[1]

    @property
    def params(self) -> dict[str, Any]:
        """The params of the primitive."""
        return self.equation[2]

    @functools.cached_property
    def differentiated(self) -> tuple[int, ...]:
        """The places of the inputs of which JAX gives a gradient."""
        left_out = self.fixed + self.unknown
        return tuple(i for i, x in enumerate(self.inputs) if x.dtype.kind in "fc" and i not in left_out)

    def cotangent(self, y: Any) -> Any:
        """Return a random cotangent of an output; where it is no float, one that must not be used."""
        if isinstance(y, tuple):
            return tuple(map(self.cotangent, y))
        if y.dtype.kind not in "fc":
            return np.full(y.shape, np.nan)
        rng = np.random.default_rng(zlib.crc32(self.label.encode()))
        g = rng.normal(size=(2, *y.shape))
        g[..., *(slice(-1, None) for _ in y.shape)] *= y.size < 5  # A zero among many.
        return g[0] + 1j * g[1] if y.dtype.kind == "c" else g[0]

    def compute(self, inputs: Sequence[Any], g: Any) -> tuple[Any, Any]:
        """Return the value and the gradients in the order of `differentiated`, as a traceable function."""
        function = self.equation[0]
        assert function is not None

        def of_floats(*floats: Any) -> tuple[Any, Any]:
            filled = list(inputs)
            for place, x in zip(self.differentiated, floats, strict=True):
                filled[place] = x
            y = function(*filled)
            return [each for each in _several(y) if each.dtype in (float, complex)], y

        _, vjp, y = jax.vjp(of_floats, *(inputs[i] for i in self.differentiated), has_aux=True)
        return y, vjp(
            [jnp.asarray(b) for b, each in zip(_several(g), _several(y), strict=True) if each.dtype in (float, complex)]
        )


def solve(cases: Sequence[Case]) -> dict[Case, Solution]:
    """Return what JAX computes for cases that have a JAX function: one compilation serves them all."""
    cases = [case for case in cases if case.compiled]
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        inputs = [case.inputs for case in cases]
        shapes = [jax.eval_shape(case.equation[0], *case.inputs) for case in cases]
        cotangents = [
            case.cotangent(tuple(y) if isinstance(y, list) else y) for case, y in zip(cases, shapes, strict=True)
        ]

        def together(inputs: Any, cotangents: Any) -> Any:
            return [case.compute(x, g) for case, x, g in zip(cases, inputs, cotangents, strict=True)]

        computed = jax.device_get(jax.jit(together, compiler_options=_fast())(inputs, cotangents))
    solutions = {}
    for case, (y, found), g in zip(cases, computed, cotangents, strict=True):
        gradients = dict(zip(case.differentiated, found, strict=True))
        solutions[case] = Solution(
            tuple(y) if isinstance(y, list) else y,
            g,
            tuple(gradients.get(i) for i in range(len(case.inputs))),
        )
    return solutions


@functools.cache
def _fast() -> dict[str, Any]:
    """Return options that compile a program fast rather than well, as far as this XLA has them."""
    options: dict[str, Any] = {}
    for option, value in {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}.items():
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            jax.jit(lambda x: x, compiler_options={option: value})(0.0)
            options[option] = value
    return options


def _apply(primitive: Any, params: dict[str, Any], *inputs: Any) -> Any:
    return primitive.bind(*inputs, **params)


def _several(y: Any) -> Sequence[Any]:
    return y if isinstance(y, list | tuple) else [y]


def normal(*shape: int, seed: int = 0) -> Any:
    """Return standard normal numbers."""
    return np.asarray(np.random.default_rng((seed, *shape)).normal(size=shape))


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Any:
    """Return numbers between two bounds."""
    return np.asarray(np.random.default_rng((seed, *shape)).uniform(low, high, shape))


def integers(low: int, high: int, *shape: int, seed: int = 0) -> Any:
    """Return integers from `low` up to, not including, `high`."""
    return np.random.default_rng((seed, *shape)).integers(low, high, shape)
