"""The gradient check: is it right, and if not, where and why."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.leaves import first_use, reshaped
from functional_nets.gradcheck.inputs import refuse_chance, refuse_nan
from functional_nets.gradcheck.kinks import explained
from functional_nets.gradcheck.precision import SAFETY, epsilon, sensitivity
from functional_nets.gradcheck.program import Location, Node, Program, active_nodes, gradient, walk
from functional_nets.gradcheck.report import Cause, GradientMismatch, Leaf, Report, Suspect
from functional_nets.gradcheck.search import Candidate, search
from functional_nets.gradcheck.trace import trace
from functional_nets.gradcheck.witnesses import Difference, difference, jax_value_and_gradient


def check(
    loss_fn: Callable[..., Any],
    params: Any,
    *args: Any,
    manual: Any = None,
    manual_loss: Any = None,
) -> Report:
    """Returns whether a gradient is that of the loss, and if not, the line and the mistake.

    The loss is traced, evaluated in float64 and walked backward with rules that share nothing with JAX's
    derivatives. If the gradient under test differs, the walk is repeated with plausible mistakes made on
    purpose; one that reproduces the numbers given is a cause.

    Args:
        loss_fn: `loss_fn(params, *args)`, a pure function that returns a scalar.
        params: A tree of arrays.
        args: What else the loss takes.
        manual: The gradient under test, a tree like `params` (NumPy, JAX or PyTorch arrays), or what
            returns one from `(params, *args)`. Without it, the witnesses are compared with `jax.grad`.
        manual_loss: The loss that the code under test computed, if it did.

    Raises:
        ValueError: When the loss is no scalar, not finite or differs from call to call, `manual` is a tree of
            another structure or holds a NaN, or no parameter holds floats.
    """
    program = trace(loss_fn, params, *args)
    active = active_nodes(program, program.leaves)
    reference = [np.asarray(leaf) for leaf in gradient(program, walk(program, active))]
    paths = leaf_paths(params)
    refuse_nan(program, reference, paths)
    notes = list(program.notes)
    witnesses: dict[str, float] = {}
    value, by_jax = jax_value_and_gradient(loss_fn, params, *args)
    refuse_chance(loss_fn, program, value, params, *args)
    witnesses["jax.grad"] = _apart(reference, by_jax)
    if manual is None:
        given: list[Any] = by_jax
        measured = difference(loss_fn, reference, params, *args)
        scale = max(abs(measured.slope), abs(measured.measured)) or 1.0
        witnesses["finite differences"] = abs(measured.slope - measured.measured) / scale
        notes += _about(measured, scale)
        narrowest = epsilon()
    else:
        given = given_leaves(manual(params, *args) if callable(manual) else manual, params)
        narrowest = epsilon(given, jax.tree.leaves(params), jax.tree.leaves(args))
    rounding = max(narrowest, program.epsilon) * SAFETY
    tolerances = [rounding * size for size in sensitivity(program, active, reference)]
    leaves = compare(paths, given, reference, tolerances)
    loss_ok = manual_loss is None or _loss_agrees(manual_loss, program, rounding)
    ok = loss_ok and all(leaf.ok for leaf in leaves)
    if ok:
        return Report(True, leaves, notes=tuple(notes), witnesses=witnesses)
    same_shape = [
        np.asarray(array, np.float64) if np.shape(array) == np.shape(right) else None
        for array, right in zip(given, reference, strict=True)
    ]
    evidence = Evidence(program, same_shape, paths, tolerances, rounding)
    at_kinks = explained(evidence, rounding)
    if at_kinks is not None:
        leaves = tuple(leaf._replace(ok=True) for leaf in leaves)
        return Report(loss_ok, leaves, notes=(*notes, *at_kinks), witnesses=witnesses)
    causes = [*_shape_causes(evidence, given), *(_cause(evidence, candidate) for candidate in search(evidence))]
    suspects = () if causes else tuple(_suspects(evidence))
    return Report(False, leaves, tuple(causes), suspects, tuple(notes), witnesses)


def assert_gradients(
    loss_fn: Callable[..., Any], params: Any, *args: Any, manual: Any = None, manual_loss: Any = None
) -> None:
    """Raises GradientMismatch, whose text is the report, unless `check` with the same arguments finds all well."""
    report = check(loss_fn, params, *args, manual=manual, manual_loss=manual_loss)
    if not report.ok:
        raise GradientMismatch(report)


def leaf_paths(tree: Any) -> list[str]:
    """Returns a name for each leaf, such as `dense1/w`."""
    return [
        jax.tree_util.keystr(path, simple=True, separator="/") or "params"
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def given_leaves(manual: Any, params: Any) -> list[Any]:
    """Returns the leaves of a gradient in the order of the parameters' leaves, as NumPy arrays.

    Raises:
        ValueError: When the trees differ, or a leaf holds no numbers or a NaN.
    """
    expected = leaf_paths(params)
    found = dict(zip(leaf_paths(manual), jax.tree.leaves(manual), strict=True))
    missing = [path for path in expected if path not in found]
    extra = [path for path in found if path not in expected]
    if missing or extra:
        what = f"no {missing[0]!r}" if missing else f"{extra[0]!r}, which is none of them"
        raise ValueError(
            f"Expected a gradient with the parameters' leaves {', '.join(expected)}, found {what}: "
            "return a tree of the same structure."
        )
    leaves = []
    for path in expected:
        array = _to_numpy(found[path], path)
        bad = np.argwhere(~np.isfinite(np.asarray(array, np.float64)))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise ValueError(
                f"Expected finite numbers in the gradient, found {np.asarray(array, np.float64)[index]} in {path!r} "
                f"first at {list(index)} ({len(bad)} in all)."
            )
        leaves.append(array)
    return leaves


def _to_numpy(leaf: Any, path: str) -> Any:
    if hasattr(leaf, "detach"):  # A PyTorch tensor, without importing PyTorch.
        leaf = leaf.detach().cpu()
    if getattr(leaf, "dtype", None) == jax.dtypes.float0:  # What JAX calls the gradient of an integer.
        return np.zeros(np.shape(leaf))
    try:
        array = np.asarray(leaf)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected an array of numbers at {path!r}, found {type(leaf).__name__}.") from error
    if array.dtype.kind not in "fiubV" or (array.dtype.kind == "V" and not hasattr(leaf, "dtype")):
        raise ValueError(f"Expected an array of numbers at {path!r}, found {array.dtype}: give floats.")
    return array


def compare(
    paths: Sequence[str], given: Sequence[Any], reference: Sequence[Any], tolerances: Sequence[float]
) -> tuple[Leaf, ...]:
    """Returns the comparison of two gradients, leaf by leaf."""
    leaves = []
    for path, array, right, tolerance in zip(paths, given, reference, tolerances, strict=True):
        shape = np.shape(right)
        scale = float(np.max(np.abs(right), initial=0.0))
        power = tolerance / scale if scale else 0.0
        if np.shape(array) != shape:
            leaves.append(Leaf(path, shape, float("inf"), (), False, None, None, power))
            continue
        array = np.asarray(array, np.float64)
        error = np.abs(array - right)
        largest = float(np.max(error, initial=0.0))
        index = tuple(int(i) for i in np.unravel_index(np.argmax(error), shape)) if error.size else ()
        size = max(scale, float(np.max(np.abs(array), initial=0.0)))
        leaves.append(
            Leaf(
                path, shape, largest / size if size else 0.0, index, largest <= tolerance,
                float(array[index]) if error.size else 0.0, float(right[index]) if error.size else 0.0, power,
            )
        )  # fmt: skip
    return tuple(leaves)


def _apart(a: Sequence[Any], b: Sequence[Any]) -> float:
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        scale = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
        if scale:
            worst = max(worst, float(np.max(np.abs(x - y), initial=0.0)) / scale)
    return worst


def _about(measured: Difference, scale: float) -> list[str]:
    apart = abs(measured.slope - measured.measured)
    if measured.error > 1e-3 * scale:
        return [
            "finite differences cannot tell: along a random direction they are uncertain by "
            f"{measured.error / scale:.0e} of the slope."
        ]
    if apart > max(10 * measured.error, 1e-6 * scale):
        return [
            f"finite differences measure a slope of {measured.measured:.6g} where the gradient has "
            f"{measured.slope:.6g}: the loss has a stop_gradient, a jump, or a kink within reach of the step."
        ]
    return []


def _loss_agrees(manual_loss: Any, program: Program, rounding: float) -> bool:
    right = float(program.values[program.result])
    if float(np.float32(manual_loss)) == float(manual_loss):  # As a Python float, too, it shows its origin.
        rounding = max(rounding, 2.0**-24 * SAFETY)
    return abs(float(manual_loss) - right) <= max(rounding, 1e-12) * 8 * max(1.0, abs(right))


def _shape_causes(evidence: Evidence, given: Sequence[Any]) -> list[Cause]:
    causes = []
    for leaf, (array, kept) in enumerate(zip(given, evidence.given, strict=True)):
        if kept is not None:
            continue
        found = reshaped(array, evidence.reference[leaf])
        if found:
            kind, text = found
            node, place = located(evidence, first_use(evidence, leaf))
            path = evidence.paths[leaf]
            causes.append(Cause(kind, node.op if node else "", *place, (path,), 0.0, f"{path}: {text}"))
    return causes


def located(evidence: Evidence, position: int | None) -> tuple[Node | None, tuple[str | None, int | None]]:
    """Returns a node, and the file and line that it comes from."""
    if position is None:
        return None, (None, None)
    node = evidence.program.nodes[position]
    where: Location | None = node.where
    return node, (where.file, where.line) if where else (None, None)


def _cause(evidence: Evidence, candidate: Candidate) -> Cause:
    hypothesis = candidate.hypothesis
    node, place = located(evidence, hypothesis.position)
    leaves = tuple(evidence.paths[leaf] for leaf in evidence.wrong)
    op = node.op if node else "process"
    return Cause(hypothesis.kind, op, *place, leaves, candidate.residual, hypothesis.text)


def _suspects(evidence: Evidence) -> list[Suspect]:
    """Returns the operations that every wrong leaf's gradient passes through and no right one's does."""
    wrong = frozenset(evidence.wrong)
    right = frozenset(evidence.compared) - wrong
    found = []
    for position in evidence.active:
        node = evidence.program.nodes[position]
        reached = frozenset().union(*(evidence.reach.get(number, frozenset()) for number in node.inputs))
        if wrong <= reached and not reached & right:
            _, (file, line) = located(evidence, position)
            found.append(Suspect(node.op, file, line))
    if not found:
        for leaf in evidence.wrong:
            user, (file, line) = located(evidence, first_use(evidence, leaf))
            if user:
                found.append(Suspect(user.op, file, line))
    return list(dict.fromkeys(found))
