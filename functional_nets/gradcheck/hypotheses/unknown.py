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
from functional_nets.gradcheck.hypotheses.rules.log_sum_exp import log_sum_exps
from functional_nets.gradcheck.hypotheses.rules.normalisers import recognised
from functional_nets.gradcheck.program import entries

LARGEST = 72  # Elements of a cotangent that is solved for; each costs a backward pass.
DETERMINED = 0.7  # The share of a cotangent that must follow: equal examples can take each other's.
LINEAR = {"reshape", "transpose", "squeeze", "expand_dims", "convert_element_type", "copy", "broadcast_in_dim", "add"}
SUMS = {"sub", "neg"}
KINDS = {
    "mul": "wrong_operand", "div": "wrong_operand", "dot_general": "wrong_operand", "reduce_sum": "wrong_reduction",
    "conv_general_dilated": "wrong_operand", "select_n": "wrong_mask", "max": "wrong_mask", "relu": "wrong_mask",
    "gather": "permuted", "take": "permuted", "reduce_window_max": "wrong_pooling", "reduce_max": "wrong_pooling",
}  # fmt: skip


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the operations whose input's cotangent must be another, and whose output's need not be."""
    again = repeated(evidence)
    active = [p for p in reversed(evidence.active) if p not in again]
    numbers = dict.fromkeys(n for p in active for n in evidence.program.nodes[p].inputs)
    solved: dict[int, Any] = {}
    for number in numbers:
        if number in evidence.cotangents and number not in evidence.program.leaves:
            solved[number] = _cotangent(evidence, number)
    explained = {number for number, found in solved.items() if found is not None}
    for number in (n for n in numbers if n in explained):
        nodes = {p: evidence.program.nodes[p] for p, _ in evidence.uses.get(number, [])}
        # Of several uses, one may be known to go wrong further on: the others are right then.
        if any(explained.intersection(node.outputs) for node in nodes.values()):
            continue
        for position, node in nodes.items():
            if node.op not in LINEAR:
                yield _named(evidence, position, number, solved[number])
        made = evidence.made.get(number)
        if made is not None and any(node.op in (*LINEAR, *SUMS) for node in nodes.values()):
            # There is nothing to get wrong in a sum: rather in what makes its term.
            before = evidence.program.nodes[made]
            for source in explained.intersection(before.inputs) if before.op in KINDS else ():
                yield _named(evidence, made, source, solved[source])


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
    rank = int(np.sum(values > 1e-6 * values[0]))
    if not rank or equations < 1.25 * rank + 2 or rank < DETERMINED * g.size:
        return None  # So many would do that it proves nothing.
    found = np.linalg.lstsq(matrix, wanted, rcond=1e-6)[0]
    off = np.max(np.abs(matrix @ found - wanted))
    room = max(1e-9, 16 * evidence.rounding) * max(1.0, float(np.max(np.abs(wanted))))
    return g + found.reshape(g.shape) if off <= room else None


def _softmaxes(evidence: Evidence) -> set[int]:
    """The sums of softmaxes and the like, which are one function to whoever writes their gradient."""
    sums = {found.position for found in recognised(evidence)}
    return sums | {found.position for found in log_sum_exps(evidence)}


def _flat(evidence: Evidence, found: Any, right: Any, leaves: list[int]) -> Any:
    return np.concatenate([np.ravel(found[leaf] - right[leaf]) / evidence.scales[leaf] for leaf in leaves])


def _named(evidence: Evidence, position: int, number: int, found: Any) -> Hypothesis:
    program = evidence.program
    node = program.nodes[position]
    g = evidence.cotangents[number]
    kind = "wrong_derivative" if position in _softmaxes(evidence) else KINDS.get(node.op, "wrong_derivative")
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
    cost = 3.2 if node.op in SUMS else 3.0
    return Hypothesis(kind, position, text.format(*shown), cost, {number: found - g})
