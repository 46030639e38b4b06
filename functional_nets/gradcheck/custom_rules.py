"""The check of a derivative rule that someone gave JAX: `jax.custom_vjp` and `jax.custom_jvp`."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nets.equations import HERE, Location
from functional_nets.gradcheck.comparison import compare
from functional_nets.gradcheck.complex_numbers import in_pairs, is_complex, pair, slopes, whole
from functional_nets.gradcheck.contracts import same
from functional_nets.gradcheck.further import asked, heard
from functional_nets.gradcheck.judgement import Judgement, judge
from functional_nets.gradcheck.layers import reworded
from functional_nets.gradcheck.numpy_code.slopes import agrees
from functional_nets.gradcheck.numpy_code.source import definition, failing_line
from functional_nets.gradcheck.point import Point
from functional_nets.gradcheck.precision import epsilon
from functional_nets.gradcheck.program import active_nodes, gradient, is_real, walk
from functional_nets.gradcheck.report import Cause, Leaf, Report, Suspect
from functional_nets.gradcheck.trace import to_float64, trace


def check_vjp(
    f: Callable[..., Any], *args: Any, order: int = 1, forward: bool = False, batched: bool = False
) -> Report:
    """Returns whether the derivative rule of a function is the derivative of what it computes, and if not, why.

    What the function computes is traced, past its rule, and walked backward from a random cotangent; `jax.vjp`
    uses the rule. A rule is linear in the cotangent, too. Where the function has no derivative of its own, as
    `round` has none, a rule is what its author wants it to be: that is a note.

    Args:
        f: A function with a `jax.custom_vjp` or `jax.custom_jvp`; of a function without, JAX's own rules are
            checked.
        args: Trees of arrays; integers have no gradient.
        order: With 2, the derivative of the rule is checked, too: by the arguments and by the cotangent.
        forward: Whether to check `jax.jvp`, which a `jax.custom_vjp` does not have.
        batched: Whether to check `jax.vmap` of the rule, over arguments and cotangents.

    Raises:
        TypeError: The function cannot be called.
        ValueError: No argument has real numbers.
    """
    if not callable(f):
        raise TypeError(f"Expected a function with a jax.custom_vjp, found a {type(f).__name__}.")
    witnesses = asked(order, forward, batched)
    with jax.enable_x64(True):
        rule = _Rule(f, args)
        report = rule.report()
        return heard(report, witnesses, rule.point) if report.leaves else report


class _Rule:
    """A function, its arguments as leaves, and cotangents for its outputs."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any]):
        self.f = f
        self.precision = epsilon(jax.tree.leaves(args))
        leaves, self.structure = jax.tree.flatten(to_float64(tuple(args)))
        self.whole = leaves
        self.real = [i for i, leaf in enumerate(leaves) if is_real(leaf)]
        if not self.real:
            raise ValueError(f"Expected an argument of floating-point numbers, found {len(leaves)} of other types.")
        self.paths = _names(f, args)
        self.params = [leaves[i] for i in self.real]
        self.reals = [pair(x) if is_complex(x) else x for x in self.params]
        outputs, self.tree = jax.tree.flatten(f(*self.arguments(self.params)))
        self.outputs = [np.asarray(out) for out in outputs]
        self.cotangents = self.drawn(1)
        self.floating = [jnp.issubdtype(out.dtype, jnp.inexact) for out in self.outputs]
        if not any(self.floating):
            raise ValueError("Expected a function that returns floating-point numbers, found none in its result.")

    def arguments(self, params: Sequence[Any]) -> Any:
        """The arguments with other real arrays."""
        leaves = list(self.whole)
        for i, value in zip(self.real, params, strict=True):
            leaves[i] = value
        return jax.tree.unflatten(self.structure, leaves)

    def drawn(self, seed: int) -> list[Any]:
        """Random cotangents."""
        random = np.random.default_rng(seed)
        real = [random.standard_normal(out.shape) for out in self.outputs]
        return [
            g + 1j * random.standard_normal(g.shape) if is_complex(out) else g
            for g, out in zip(real, self.outputs, strict=True)
        ]

    def weighted(self, params: Sequence[Any], cotangents: Sequence[Any] | None = None) -> Any:
        """The number whose gradient is checked: the outputs, each element times its cotangent."""
        outputs = jax.tree.leaves(self.f(*self.arguments(params)))
        parts = [
            jnp.sum(out * cotangent).real
            for out, cotangent, floating in zip(outputs, cotangents or self.cotangents, self.floating, strict=True)
            if floating
        ]
        return sum(parts[1:], parts[0])

    def point(self) -> Point:
        """The same number as a function of the arguments and of the cotangents."""
        moving = [i for i, floating in enumerate(self.floating) if floating]
        names = ["cotangent" if len(moving) == 1 else f"cotangent {i}" for i in moving]

        def loss(leaves: tuple[Sequence[Any], Sequence[Any]]) -> Any:
            cotangents = list(self.cotangents)
            for i, each in zip(moving, leaves[1], strict=True):
                cotangents[i] = each
            return self.weighted(leaves[0], cotangents)

        leaves = (self.params, [self.cotangents[i] for i in moving])
        return Point(loss, leaves, paths=[*self.paths, *names], where=self.rule_line)

    def pulled(self, cotangents: Sequence[Any]) -> list[Any]:
        """What the rule makes of cotangents: slopes, by real and by imaginary part."""
        outputs, vjp = jax.vjp(lambda *params: self.f(*self.arguments(params)), *self.params)
        given = [
            jnp.asarray(c, jnp.asarray(out).dtype) if floating else np.zeros(np.shape(out), jax.dtypes.float0)
            for c, out, floating in zip(cotangents, jax.tree.leaves(outputs), self.floating, strict=True)
        ]
        found = vjp(jax.tree.unflatten(self.tree, given))
        return [slopes(np.asarray(leaf), x) for leaf, x in zip(found, self.params, strict=True)]

    def report(self) -> Report:
        """The comparison, and what explains it."""
        program = in_pairs(trace(lambda params: self.weighted(params), self.params))
        try:
            given = self.pulled(self.cotangents)
        except (TypeError, ValueError, NotImplementedError) as error:
            return self._refused(error)
        finite = [i for i, leaf in enumerate(given) if not np.all(np.isfinite(leaf))]
        evaluate = [partial(self._value, n) for n in range(len(self.params))]
        judgement = judge(program, given, self.paths, self.precision, evaluate=evaluate)
        notes = [*program.notes, *judgement.notes]
        if finite:
            notes.append(f"the rule gives no finite numbers for {', '.join(self.paths[i] for i in finite)}")
        causes = self._upstream(given)
        wrong = judgement.wrong
        conjugated = self._conjugated(judgement)
        if wrong and not causes and (text := self._meant(judgement)):
            leaves = tuple(leaf._replace(ok=True) for leaf in self._rows(judgement))
            return Report(True, leaves, notes=(*notes, text), witnesses=self._witnesses(judgement))
        if wrong:
            found = [] if conjugated else reworded(judgement)
            causes = [*conjugated, *causes]
            names = tuple(self.paths[n] for n in wrong)
            guesses = []
            for each in found:
                node = program.nodes[each.position] if each.position is not None else None
                if node is None or node.where is None or node.where.file.startswith(HERE):
                    where, op = self.rule_line, self.name  # No line of theirs: the sum over the outputs.
                else:
                    where, op = node.where, node.op
                guesses.append(_cause(each.kind, op, where, names, each.residual, each.text))
            # A cotangent that is clipped or ignored is seen directly; a mask of the cotangent's sign explains more.
            specific = bool(found) and found[0].kind in ("upstream", "wrong_mask")
            causes = [*guesses, *causes] if not causes or specific else [*causes, *guesses]
        suspects: tuple[Suspect, ...] = ()
        if wrong and not causes:
            where = self.rule_line
            suspects = (Suspect(self.name, where.file if where else None, where.line if where else None),)
        ok = judgement.ok and not causes
        return Report(ok, self._rows(judgement), tuple(causes), suspects, tuple(notes), self._witnesses(judgement))

    def _rows(self, judgement: Judgement) -> tuple[Leaf, ...]:
        """The comparison, of complex arrays in JAX's convention."""
        rows = list(judgement.leaves)
        for n, x in enumerate(self.params):
            if is_complex(x):
                given, right = (np.conj(whole(each[n])) for each in (judgement.given, judgement.evidence.reference))
                (row,) = compare([self.paths[n]], [given], [right], [judgement.evidence.tolerances[n]])
                rows[n] = row._replace(ok=rows[n].ok)
        return tuple(rows)

    def _conjugated(self, judgement: Judgement) -> list[Cause]:
        """A rule that multiplies the cotangent by the conjugate of the derivative, as PyTorch's rules do."""
        wrong = judgement.wrong
        if not wrong or not any(map(is_complex, (*self.params, *self.outputs))):
            return []
        program = trace(lambda params: self.weighted(params, [np.conj(g) for g in self.cotangents]), self.params)
        found = gradient(program, walk(program, active_nodes(program, program.leaves)))
        expected = [slopes(np.conj(g), x) for g, x in zip(found, self.params, strict=True)]
        if any(not np.all(np.abs(judgement.given[n] - expected[n]) <= judgement.evidence.tolerances[n]) for n in wrong):
            return []
        text = (
            "the rule multiplies by the conjugate of the derivative, PyTorch's convention for complex numbers: in "
            "JAX's, multiply by the derivative itself"
        )
        return [_cause("sign", self.name, self.rule_line, tuple(self.paths[n] for n in wrong), 0.0, text)]

    def _value(self, number: int, x: Any) -> float:
        params = list(self.params)
        params[number] = jnp.asarray(whole(x) if is_complex(params[number]) else x)
        return float(self.weighted(params))

    def _witnesses(self, judgement: Judgement) -> dict[str, float]:
        """Whether the function's values, which know no rule, have the slope of the walk."""
        agree = all(
            agrees(partial(self._value, n), value, slope)
            for n, (value, slope) in enumerate(zip(self.reals, judgement.evidence.reference, strict=True))
        )
        return {"finite differences": 0.0 if agree else float("inf")}

    def _meant(self, judgement: Judgement) -> str | None:
        """A rule for a function that is flat: what a straight-through estimator is written for."""
        flat = [n for n in judgement.wrong if not np.any(judgement.evidence.reference[n])]
        program = judgement.evidence.program
        if flat != judgement.wrong or active_nodes(program, [program.leaves[n] for n in flat]) == []:
            return None
        if not all(agrees(partial(self._value, n), self.reals[n], 0.0 * self.reals[n]) for n in flat):
            return None
        names = ", ".join(self.paths[n] for n in flat)
        return (
            f"the function is piecewise constant in {names}: its derivative is 0 wherever it has one, and the rule "
            "gives another on purpose, as a straight-through estimator does"
        )

    def _upstream(self, given: Sequence[Any]) -> list[Cause]:
        """The rule must be linear in the cotangent."""
        other = self.drawn(2)
        mixed = [2.5 * a - 0.75 * b for a, b in zip(self.cotangents, other, strict=True)]
        of_other, of_mixed = self.pulled(other), self.pulled(mixed)
        wrong, ignored = [], False
        for path, a, b, c in zip(self.paths, given, of_other, of_mixed, strict=True):
            size = max(float(np.max(np.abs(x), initial=0.0)) for x in (a, b, c))
            if not same(c, 2.5 * a - 0.75 * b, 1e-8, size):
                wrong.append(path)
                ignored = ignored or same(a, b, 1e-9, size)
        if not wrong:
            return []
        names = ", ".join(wrong)
        text = (
            f"the rule ignores the cotangent in the gradient of {names}: multiply by it (chain rule)"
            if ignored
            else f"the gradient of {names} is not linear in the cotangent, as every rule is: "
            "something clips it, takes its sign, or multiplies by it twice"
        )
        return [_cause("upstream", self.name, self.rule_line, tuple(wrong), 0.0, text)]

    def _refused(self, error: Exception) -> Report:
        """JAX does not take what the rule returns."""
        message = str(error).strip().split("\n")[0]
        linear = "transpose" in message.lower() or "linear" in message.lower()
        kind = "upstream" if linear or isinstance(error, NotImplementedError) else "wrong_shape"
        where = failing_line(error)
        where = self.rule_line or where
        text = f"jax.vjp does not accept what the rule returns: {message}"
        return Report(False, (), (_cause(kind, self.name, where, tuple(self.paths), 0.0, text),))

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.f, "__name__", type(self.f).__name__)

    @property
    def rule_line(self) -> Location | None:
        """Where the rule is defined: the backward function, or the jvp."""
        rule = getattr(self.f, "bwd", None) or getattr(self.f, "jvp", None)
        return definition(rule) if callable(rule) else None


def _cause(kind: str, name: str, where: Location | None, leaves: tuple[str, ...], residual: float, text: str) -> Cause:
    file, line = (where.file, where.line) if where else (None, None)
    return Cause(kind, name, file, line, leaves, residual, text)


def _names(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """The real arguments by the function's own names for them."""
    try:
        known = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        known = []
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(to_float64(tuple(args))):
        if is_real(leaf):
            place = path[0].idx  # type: ignore[attr-defined]  # Of a tuple: JAX types a path's keys as Any key.
            own = [known[place] if place < len(known) and known != ["args"] else f"arg{place}"]
            rest = jax.tree_util.keystr(path[1:], simple=True, separator="/")
            found.append("/".join([*own, *([rest] if rest else [])]))
    return found
