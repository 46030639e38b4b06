"""The check of one layer in the book's style: its backward against the derivative of its own forward."""

from typing import Any, NamedTuple

import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.contracts import Breach, breaches, same
from functional_nets.gradcheck.judgement import Explanation, Judgement, explain, judge
from functional_nets.gradcheck.numpy_code import axes, forwards, reads
from functional_nets.gradcheck.numpy_code.attributes import arrays, at
from functional_nets.gradcheck.numpy_code.randomness import repeatable
from functional_nets.gradcheck.numpy_code.rehearsal import Rehearsal
from functional_nets.gradcheck.numpy_code.source import method_line, returned_line, stored_line
from functional_nets.gradcheck.precision import epsilon
from functional_nets.gradcheck.program import Node, Program
from functional_nets.gradcheck.report import Cause, Report, Suspect

FORWARD = {"wrong_loss"}  # Mistakes that show at a line of forward, wherever they were made.


def check_layer(layer: Any, *inputs: Any) -> Report:
    """Returns whether a layer's `backward` is the derivative of its `forward`, and if not, where and why.

    `layer.forward(*inputs)` runs on the tape, whose derivative needs no backward of the layer's own;
    `layer.backward(dout)` runs as it is, with a random upstream gradient (1 where forward returns a number).
    Compared are the gradients that backward returns, and that of each array `w` which it stores as `dw`.
    Then what a backward rule promises is tested: linear in dout, which it neither ignores nor changes;
    the inputs and what forward keeps unchanged; nothing left over from the pass before. Only copies of the layer
    run.

    Args:
        layer: An object with `forward` and `backward`.
        inputs: What forward takes. Integers, labels and masks have no gradient.

    Raises:
        TypeError: The layer lacks one of the two methods.
    """
    for name in ("forward", "backward"):
        if not callable(getattr(layer, name, None)):
            raise TypeError(
                f"Expected a layer with forward(*inputs) and backward(dout), found a {type(layer).__name__} "
                f"without {name}: add the method."
            )
    with repeatable() as start:
        return examine(Rehearsal(layer, inputs, start)).report


class Examination(NamedTuple):
    """What came out of the check of one layer."""

    report: Report
    judgement: Judgement | None
    breaches: tuple[Breach, ...] = ()


def examine(rehearsal: Rehearsal, *, contracts: bool = True) -> Examination:
    """Returns the comparison of a layer's gradients, and the promises that it breaks.

    Args:
        rehearsal: The layer.
        contracts: Whether to test those at all.
    """
    name = type(rehearsal.layer).__name__
    if not rehearsal.targets:
        note = f"{name} gives no gradient at all: nothing to check"
        return Examination(Report(True, (), notes=(*rehearsal.notes, note)), None)
    program, measured = rehearsal.program()
    ran = rehearsal.forward()
    raw = rehearsal.gradients(ran)
    precision = epsilon(
        [x for x in (*raw, *ran.inputs, *arrays(rehearsal.layer).values()) if isinstance(x, np.ndarray)]
    )
    given = [
        np.zeros(np.shape(rehearsal.value(t))) if g is None else g for g, t in zip(raw, rehearsal.targets, strict=True)
    ]
    evaluate = [lambda x, n=n: rehearsal.weighted({n: x}) for n in range(len(given))]
    judgement = judge(
        program, given, [t.name for t in rehearsal.targets], precision, evaluate=evaluate, measured=measured
    )
    broken = breaches(rehearsal, precision) if contracts else []
    causes = [] if judgement.ok and not broken else _causes(rehearsal, judgement, broken)
    suspects = () if causes or judgement.ok else (_suspect(rehearsal, judgement),)
    for target, gradient in zip(rehearsal.targets, raw, strict=True):
        kept = np.asarray(gradient).dtype
        if gradient is not None and kept.kind == "f" and kept.itemsize < rehearsal.dtype(target).itemsize:
            rehearsal.notes.append(f"{target.name} is {rehearsal.dtype(target)}, its gradient only {kept}")
    notes = tuple(dict.fromkeys((*program.notes, *rehearsal.notes, *judgement.notes)))
    ok = judgement.ok and not broken
    return Examination(Report(ok, judgement.leaves, tuple(causes), suspects, notes), judgement, tuple(broken))


def _causes(rehearsal: Rehearsal, judgement: Judgement, broken: list[Breach]) -> list[Cause]:
    """Breaches that were seen come before guesses, except that a changed dout seldom explains wrong numbers."""
    wrong = set(judgement.wrong)
    observed = [_of_breach(rehearsal, breach) for breach in broken]
    if not wrong:
        return observed
    linear = all(breach.kind != "upstream" for breach in broken)
    first: list[Cause] = []
    last: list[Cause] = []
    for breach, cause in zip(broken, observed, strict=True):
        # With dout = 1, as at the end of a network, it makes no difference whether a loss uses it.
        beside = breach.harmless or (breach.kind == "upstream" and rehearsal.scalar)
        (last if beside else first).append(cause)
    found = [e for e in (*_left_over(rehearsal, judgement), *reworded(judgement)) if _fits(e, linear)]
    found = found or _drawn_again(rehearsal, judgement)
    guesses = [_of_explanation(rehearsal, judgement.evidence.program, each) for each in found]
    if (
        not linear
        and not rehearsal.scalar
        and guesses
        and found[0].kind in ("upstream", "wrong_mask")
        and found[0].cost <= 1.5
    ):
        return [guesses[0], *first, *guesses[1:], *last]
    if found and (found[0].cost <= 0.7 or rehearsal.scalar or not last):
        return [*first, *guesses, *last]
    return [*first, *last, *guesses]


def reworded(judgement: Judgement) -> list[Explanation]:
    """Returns what reproduces a wrong gradient, in the words that fit a layer."""
    program = judgement.evidence.program
    found = []
    for each in explain(judgement, [forwards.propose], [reads.propose, axes.propose]):
        node = None if each.position is None else program.nodes[each.position]
        factors = {program.leaves[n] for n in each.leaves}
        if (
            each.kind == "permuted"
            and "exchanged" in each.text
            and any(n.op in ("mul", "dot_general") and set(n.inputs) == factors for n in program.nodes)
        ):
            text = "the gradient of each factor has the other factor; here each has itself"
            each = each._replace(kind="wrong_operand", text=text)
        elif each.kind == "transposed" and node is not None and np.ndim(program.values[node.inputs[0]]) > 2:
            each = each._replace(kind="permuted")  # No matrix: axes in another order.
        elif each.kind == "wrong_operand" and "left out" in each.text and node is not None and _masked(program, node):
            each = each._replace(
                kind="wrong_mask", text="the mask that forward multiplies by is missing: multiply by it"
            )
        found.append(each)
    return found


def _masked(program: Program, node: Node) -> bool:
    """Whether an operation multiplies by zeros and another number, and nothing else."""
    made = {number for other in program.nodes for number in other.outputs}
    masks = (np.unique(program.values[n]) for n in node.inputs if n not in made and n not in program.leaves)
    return node.op == "mul" and any(len(mask) == 2 and mask[0] == 0 for mask in masks)


def _fits(explanation: Explanation, linear: bool) -> bool:
    """Whether an explanation agrees with what linearity has shown."""
    return not linear or explanation.kind != "upstream" or "ignored" not in explanation.text


def _left_over(rehearsal: Rehearsal, judgement: Judgement) -> list[Explanation]:
    found = []
    for n in judgement.wrong:
        target = rehearsal.targets[n]
        before = at(rehearsal.layer, target.stored) if target.stored else None
        if before is None or np.shape(before) != np.shape(judgement.given[n]):
            continue
        if same(np.asarray(judgement.given[n]) - before, judgement.evidence.reference[n], 1e-6):
            text = f"the gradient of {target.name} is added to that of the pass before: assign it (=)"
            found.append(Explanation("accumulated", None, text, 0.0, 0.0, (n,)))
    return found


def _drawn_again(rehearsal: Rehearsal, judgement: Judgement) -> list[Explanation]:
    """The upstream gradient times a constant where a mask is on, and the mask is not that of forward."""
    found = []
    for n in judgement.evidence.wrong:
        given, right = judgement.evidence.given[n], judgement.evidence.reference[n]
        dout = rehearsal.douts[0]
        if np.shape(dout) != np.shape(right):
            continue
        with np.errstate(all="ignore"):
            slopes = [part[part != 0] / dout[part != 0] for part in (given, right)]
        if all(part.size and np.ptp(part) <= 1e-6 * np.max(np.abs(part)) for part in slopes):
            text = "the mask is another than that of forward, drawn or computed anew: keep that one for backward"
            found.append(Explanation("wrong_mask", None, text, 0.0, 0.5, (n,)))
    return found if len(found) == len(judgement.wrong) else []


def _of_breach(rehearsal: Rehearsal, breach: Breach) -> Cause:
    where = breach.where
    leaves = tuple(rehearsal.targets[n].name for n in breach.leaves)
    name = type(rehearsal.layer).__name__
    return Cause(
        breach.kind,
        name,
        where.file if where else None,
        where.line if where else None,
        leaves,
        0.0,
        breach.text,
    )


def _of_explanation(rehearsal: Rehearsal, program: Program, explanation: Explanation) -> Cause:
    where = None
    if explanation.forward or explanation.kind in FORWARD:
        where = program.nodes[explanation.position].where if explanation.position is not None else None
        where = where or method_line(rehearsal.layer, "forward")
    where = where or backward_line(rehearsal, explanation.leaves)
    names = tuple(rehearsal.targets[n].name for n in explanation.leaves)
    side = "forward" if explanation.forward else "backward"
    text = explanation.text if explanation.forward else f"gradient of {', '.join(names)}: {explanation.text}"
    name = type(rehearsal.layer).__name__
    return Cause(
        explanation.kind, name, where.file if where else None, where.line if where else None, names,
        explanation.residual, f"{name}.{side}: {text}",
    )  # fmt: skip


def backward_line(rehearsal: Rehearsal, leaves: tuple[int, ...]) -> Location | None:
    """Returns the line of backward that computes a gradient; where several are wrong, where backward begins."""
    layer = rehearsal.layer
    found = None
    if len(leaves) == 1:
        target = rehearsal.targets[leaves[0]]
        if target.stored is not None:
            name = target.stored[-1]
            found = stored_line(layer, "backward", name)
        elif target.returned is not None:
            found = returned_line(layer, "backward", target.returned)
    return found or method_line(layer, "backward")


def _suspect(rehearsal: Rehearsal, judgement: Judgement) -> Suspect:
    where = backward_line(rehearsal, tuple(judgement.wrong))
    name = type(rehearsal.layer).__name__
    return Suspect(name, where.file if where else None, where.line if where else None)
