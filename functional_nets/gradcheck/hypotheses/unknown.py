"""An array that cannot be guessed, such as noise drawn anew: what it must have been is solved for.

The gradients are linear in the cotangent of every value. Where they have more elements than it has, few cotangents
explain them: if the one of an operation's input can be found and that of its output cannot, the mistake is there.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import repeated
from functional_nets.gradcheck.program import entries

LARGEST = 72  # Elements of a cotangent that is solved for; each costs a backward pass.
LINEAR = {"reshape", "transpose", "squeeze", "expand_dims", "convert_element_type", "copy", "broadcast_in_dim", "add"}
KINDS = {
    "mul": "wrong_operand", "div": "wrong_operand", "dot_general": "wrong_operand", "reduce_sum": "wrong_reduction",
    "conv_general_dilated": "wrong_operand", "select_n": "wrong_mask", "max": "wrong_mask", "relu": "wrong_mask",
    "gather": "permuted", "take": "permuted", "reduce_window_max": "wrong_pooling", "reduce_max": "wrong_pooling",
}  # fmt: skip


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the operation whose input's cotangent must be another, and whose output's need not be."""
    solved: dict[int, Any] = {}
    again = repeated(evidence)
    for position in reversed(evidence.active):
        node = evidence.program.nodes[position]
        for number in node.inputs:
            if (
                position in again
                or number in solved
                or number not in evidence.cotangents
                or number in evidence.program.leaves
            ):
                continue
            solved[number] = _cotangent(evidence, number)
            explained = any(solved.get(output) is not None for output in node.outputs)
            if solved[number] is not None and not explained and node.op not in LINEAR:
                yield _named(evidence, position, number, solved[number])


def _cotangent(evidence: Evidence, number: int) -> Any:
    """The one cotangent of a value with which the gradients are those given, or None."""
    g = np.asarray(evidence.cotangents[number])
    leaves = [leaf for leaf in evidence.compared if leaf in evidence.reach.get(number, frozenset())]
    equations = sum(np.size(evidence.given[leaf]) for leaf in leaves)
    if not evidence.concerns(number) or not 2 <= g.size <= LARGEST or equations < 1.25 * g.size + 2:
        return None
    below = evidence.made.get(number, -1) + 1
    columns = []
    if evidence.late:
        return None
    for element in range(g.size):
        unit = np.zeros(g.size)
        unit[element] = 1.0
        moved = evidence.pulled({number: unit.reshape(g.shape)}, below)
        columns.append(_flat(evidence, moved, evidence.reference, leaves))
    matrix = np.stack(columns, axis=1)
    wanted = _flat(evidence, evidence.given, evidence.reference, leaves)
    if not np.all(np.isfinite(matrix)):
        return None
    values = np.linalg.svd(matrix, compute_uv=False)
    if values[-1] < 1e-6 * values[0]:
        return None  # Several would do: that proves nothing.
    found = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    off = np.max(np.abs(matrix @ found - wanted))
    room = max(1e-9, 16 * evidence.rounding) * max(1.0, float(np.max(np.abs(wanted))))
    return g + found.reshape(g.shape) if off <= room else None


def _flat(evidence: Evidence, found: Any, right: Any, leaves: list[int]) -> Any:
    return np.concatenate([np.ravel(found[leaf] - right[leaf]) / evidence.scales[leaf] for leaf in leaves])


def _named(evidence: Evidence, position: int, number: int, found: Any) -> Hypothesis:
    program = evidence.program
    node = program.nodes[position]
    g = evidence.cotangents[number]
    kind = KINDS.get(node.op, "wrong_derivative")
    text = "this operation's backward is not its rule: the gradient of its input should start with {}, and is {}"
    bound = np.max(np.abs(found))
    with np.errstate(all="ignore"):
        whole = entries(node, np.ones_like(evidence.cotangents_of(position)), program.values)[node.inputs.index(number)]
        ratio = np.round(found / np.asarray(evidence.cotangents_of(position)), 6) if node.op == "mul" else np.zeros(0)
    if np.sum(np.abs(np.abs(found) - bound) < 1e-9 * bound) > 1 and np.allclose(np.clip(g, -bound, bound), found):
        kind, text = "upstream", f"the gradient is clipped to ±{bound:.4g} here; it should start with {{}}, and is {{}}"
    elif ratio.size and len(np.unique(np.abs(ratio))) == 2 and np.any(ratio == 0) and whole is not None:
        kind = "wrong_mask"
    shown = [", ".join(f"{each:.4g}" for each in np.ravel(array)[:3]) for array in (g, found)]
    return Hypothesis(kind, position, text.format(*shown), 3.0, {number: found - g})
