"""What a backward rule promises beside its values: linear in what comes from above, and nothing changed on the way."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.numpy_code.attributes import arrays, fingerprints, lock, name_of
from functional_nets.gradcheck.numpy_code.rehearsal import Ran, Rehearsal
from functional_nets.gradcheck.numpy_code.source import failing_line, method_line, returned_line, stored_line

SLACK = 1e-9  # Relative; more where the layer's own numbers are less precise.
CLEARERS = ("zero_grad", "zero_grads", "zerograd", "clear_grads", "cleargrads", "clear_grad", "reset_grads")


class Breach(NamedTuple):
    """A promise that a layer does not keep.

    Attributes:
        kind: The mistake's identifier.
        where: Its line.
        text: What happens and what to do.
        leaves: The numbers of the gradients that it spoils.
        harmless: Whether no gradient of a plain chain of layers is changed by it.
    """

    kind: str
    where: Location | None
    text: str
    leaves: tuple[int, ...]
    harmless: bool = False


def breaches(rehearsal: Rehearsal, precision: float) -> list[Breach]:
    """Returns what a layer's backward rule promises and does not keep.

    Args:
        rehearsal: The layer.
        precision: Relative rounding error of its numbers.
    """
    slack = max(SLACK, 64 * precision)
    checks = (input_changed, upstream_changed, not_the_same_twice, accumulated, first_batch_kept, not_linear)
    return [breach for check in checks for breach in check(rehearsal, slack)]


def input_changed(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """Forward writes into its caller's array."""
    ran = rehearsal.forward()
    names = rehearsal.names
    for place, (before, after) in enumerate(zip(rehearsal.copies(), ran.inputs, strict=True)):
        if isinstance(after, np.ndarray) and before.tobytes() != after.tobytes():
            inputs = rehearsal.copies()
            lock(inputs[place])
            where = _line_of(partial(rehearsal.forward, inputs=inputs))
            where = where or method_line(rehearsal.layer, "forward")
            text = f"forward changes its input {names[place]} in place: work on {names[place]}.copy()"
            yield Breach("mutated", where, text, _leaves(rehearsal, names[place]))


def upstream_changed(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """Backward writes into the gradient that it was handed."""
    ran = rehearsal.forward()
    douts = [d.copy() for d in rehearsal.douts]
    rehearsal.call_backward(ran, douts)
    if all(d.tobytes() == r.tobytes() for d, r in zip(douts, rehearsal.douts, strict=True)):
        return
    ran, locked = rehearsal.forward(), [d.copy() for d in rehearsal.douts]
    lock(*locked)
    where = _line_of(lambda: rehearsal.call_backward(ran, locked)) or method_line(rehearsal.layer, "backward")
    text = (
        "backward changes the upstream gradient dout in place, and whoever handed it in may still need it: "
        "work on dout.copy()"
    )
    yield Breach("mutated", where, text, (), harmless=True)


def not_the_same_twice(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """A second backward finds something else in the caches."""
    ran = rehearsal.forward()
    before = fingerprints(ran.layer)
    first = rehearsal.gradients(ran)
    after = fingerprints(ran.layer)
    try:
        second = rehearsal.gradients(ran)
    except Exception as error:  # Caches that backward frees are no harm: forward comes first, always.
        rehearsal.notes.append(f"backward runs only once after a forward pass ({type(error).__name__})")
        return
    gradients = {target.stored for target in rehearsal.targets}
    returned = [n for n, t in enumerate(rehearsal.targets) if t.stored is None]
    stored = {path for path in before if any(g and path[: len(g)] == g for g in gradients)}
    changed = [path for path in before if path not in stored and before[path] != after.get(path, before[path])]
    spoiled = tuple(n for n in returned if not same(first[n], second[n], slack))
    if spoiled and not changed:
        rehearsal.notes.append("backward gives another gradient each time it is called: does it draw random numbers?")
    if not spoiled or not changed:
        return
    ran = rehearsal.forward()
    for path, array in arrays(ran.layer).items():
        if path not in stored:
            lock(array)
    where = _line_of(lambda: rehearsal.call_backward(ran)) or method_line(rehearsal.layer, "backward")
    names = ", ".join(name_of(path) for path in changed)
    text = f"backward changes {names} in place, which forward has kept for it: a second backward differs; use a copy"
    yield Breach("mutated", where, text, spoiled)


def accumulated(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """The gradient of a parameter grows with each pass."""
    ran = rehearsal.forward()
    if any(hasattr(ran.layer, name) for name in CLEARERS):
        return
    first = rehearsal.gradients(ran)
    try:
        second = rehearsal.gradients(rehearsal.forward(layer=ran.layer))
    except Exception:
        return
    third = rehearsal.gradients(rehearsal.forward(layer=ran.layer))
    for number, target in enumerate(rehearsal.targets):
        arrays_ = first[number], second[number], third[number]
        if target.stored is None or any(a is None or np.shape(a) != np.shape(first[number]) for a in arrays_):
            continue
        one, two, three = (np.asarray(a, np.float64) for a in arrays_)
        if np.any(two - one) and same(two - one, three - two, slack * 10, float(np.max(np.abs(three)))):
            name = target.stored[-1] if isinstance(target.stored[-1], str) else target.stored[-2]
            where = stored_line(rehearsal.layer, "backward", name) or method_line(rehearsal.layer, "backward")
            text = (
                f"the gradient of {target.name} is added to that of the pass before: "
                "assign it (=), or set it to zero before each backward pass"
            )
            yield Breach("accumulated", where, text, (number,))


def first_batch_kept(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """After another batch, backward still works with that one's caches."""
    try:
        fresh = rehearsal.forward()
        right = rehearsal.gradients(fresh)
        ran = rehearsal.forward(inputs=another_batch(rehearsal))
        again = rehearsal.forward(layer=ran.layer)
        if not all(same(a, b, slack) for a, b in zip(fresh.outputs, again.outputs, strict=True)):
            return  # Forward itself depends on what came before: a recurrent state, a new dropout mask.
        found = rehearsal.gradients(again)
    except Exception:
        return
    keepers = set(_accumulators(rehearsal))
    wrong = tuple(
        n for n, (a, b) in enumerate(zip(right, found, strict=True)) if n not in keepers and not same(a, b, slack)
    )
    if wrong:
        where = method_line(rehearsal.layer, "forward")
        text = "after a forward pass on another batch, backward still uses what it kept of that one: keep it each time"
        yield Breach("stale", where, text, wrong)


def not_linear(rehearsal: Rehearsal, slack: float) -> Iterator[Breach]:
    """Backward is a linear map of what comes from above; one that clips it, or ignores it, is not."""
    if not rehearsal.takes_upstream:
        rehearsal.notes.append("backward takes no upstream gradient: it is right only at the end of a chain")
        return
    random = np.random.default_rng(2)
    one = rehearsal.douts
    two = [random.standard_normal(d.shape).astype(d.dtype) for d in one]
    both = [(2.5 * a - 0.75 * b).astype(a.dtype) for a, b in zip(one, two, strict=True)]
    try:
        of_one, of_two, of_both = (_fresh(rehearsal, douts) for douts in (one, two, both))
    except Exception:
        return
    base = _stored_before(rehearsal)
    wrong, ignored = [], []
    for number, (a, b, c) in enumerate(zip(of_one, of_two, of_both, strict=True)):
        if any(x is None for x in (a, b, c)) or not np.shape(a) == np.shape(b) == np.shape(c):
            continue
        offset = base.get(number, 0.0)
        a, b, c = (np.asarray(x, np.float64) - offset for x in (a, b, c))
        size = max(float(np.max(np.abs(x), initial=0.0)) for x in (a, b, c))
        if not same(c, 2.5 * a - 0.75 * b, slack * 100, size):
            wrong.append(number)
            ignored += [number] if same(a, b, slack, size) else []
    if not wrong:
        return
    target = rehearsal.targets[wrong[0]]
    where = returned_line(rehearsal.layer, "backward", target.returned or 0) if target.returned is not None else None
    names = ", ".join(rehearsal.targets[n].name for n in wrong)
    if ignored:
        text = f"backward ignores the upstream gradient dout in that of {names}: multiply by dout (chain rule)"
    else:
        text = (
            f"the gradient of {names} is not linear in the upstream gradient dout, as every backward rule is: "
            "something clips it, takes its sign, or multiplies by it twice"
        )
    yield Breach("upstream", where or method_line(rehearsal.layer, "backward"), text, tuple(wrong))


def same(a: Any, b: Any, slack: float, size: float | None = None) -> bool:
    """Whether two gradients agree, relative to their size."""
    if a is None or b is None:
        return a is b
    if np.shape(a) != np.shape(b):
        return False
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    size = max(float(np.max(np.abs(x), initial=0.0)) for x in (a, b)) if size is None else size
    return bool(np.all((np.abs(a - b) <= slack * size) | (a == b) | (np.isnan(a) & np.isnan(b))))


def another_batch(rehearsal: Rehearsal) -> list[Any]:
    """Returns inputs like those of a rehearsal: of their shapes, types and signs."""
    random = np.random.default_rng(4)
    places = {target.place for target in rehearsal.targets}
    inputs = rehearsal.copies()
    return [
        (x * random.uniform(0.6, 1.4, x.shape)).astype(x.dtype) if i in places and isinstance(x, np.ndarray)
        else np.roll(x, 1, 0) if isinstance(x, np.ndarray) and x.ndim else x
        for i, x in enumerate(inputs)
    ]  # fmt: skip


def _fresh(rehearsal: Rehearsal, douts: Sequence[Any]) -> list[Any]:
    return rehearsal.gradients(rehearsal.forward(), [d.copy() if d.ndim else d[()] for d in douts])


def _stored_before(rehearsal: Rehearsal) -> dict[int, Any]:
    """What a layer that adds its gradients up has kept from passes before."""
    zeros = [np.zeros_like(d) for d in rehearsal.douts]
    found = _fresh(rehearsal, zeros)
    return {
        n: np.asarray(found[n], np.float64) for n in _accumulators(rehearsal) if found[n] is not None
    }  # fmt: skip


def _accumulators(rehearsal: Rehearsal) -> list[int]:
    ran = rehearsal.forward()
    first = rehearsal.gradients(ran)
    try:
        second = rehearsal.gradients(rehearsal.forward(layer=ran.layer))
    except Exception:
        return []
    return [
        n for n, target in enumerate(rehearsal.targets)
        if target.stored is not None and not same(first[n], second[n], 1e-6)
    ]  # fmt: skip


def _leaves(rehearsal: Rehearsal, name: str) -> tuple[int, ...]:
    return tuple(n for n, target in enumerate(rehearsal.targets) if target.name == name)


def _line_of(run: Callable[[], Ran | Any]) -> Location | None:
    """Returns the line that writes into an array that was made read-only."""
    try:
        run()
    except ValueError as error:
        return failing_line(error)
    except Exception:
        return None
    return None
