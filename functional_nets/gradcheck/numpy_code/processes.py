"""What goes wrong between the layers of a network: gradients left over, caches of another batch, shared arrays."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.contracts import CLEARERS, input_changed, same, upstream_changed
from functional_nets.gradcheck.judgement import Judgement
from functional_nets.gradcheck.numpy_code.attributes import at, fingerprints
from functional_nets.gradcheck.numpy_code.rehearsal import Rehearsal
from functional_nets.gradcheck.numpy_code.source import method_line
from functional_nets.gradcheck.numpy_code.stage import Stage

SLACK = 1e-6


class Fault(NamedTuple):
    """A mistake of process.

    Attributes:
        kind: Its identifier.
        where: Its line, None for the network's `gradient`.
        text: What happens and what to do.
        explains: Whether without it the gradient is right.
    """

    kind: str
    where: Location | None
    text: str
    explains: bool


def process_faults(stage: Stage, judgement: Judgement) -> list[Fault]:
    """Returns the mistakes of process that are seen, each confirmed by running the network without it."""
    checks = [_added_up, _parameters_changed]
    if not judgement.ok:
        checks += [_not_forward, _not_shared, _spoiled]
    found = []
    for check in checks:
        try:
            found += list(check(stage, judgement))
        except Exception:  # A network that cannot run in another order has not that fault.
            continue
    return found


def right(found: list[Any], judgement: Judgement) -> bool:
    """Whether a gradient is right, up to rounding."""
    evidence = judgement.evidence
    return all(
        np.shape(a) == np.shape(b) and np.all(np.abs(a - b) <= max(4 * tolerance, 1e-10 * scale))
        for a, b, tolerance, scale in zip(found, evidence.reference, evidence.tolerances, evidence.scales, strict=True)
    )


def _added_up(stage: Stage, judgement: Judgement) -> Iterator[Fault]:
    network = stage.fresh()
    if any(hasattr(network, name) for name in CLEARERS):
        return
    first, second, third = (stage.gradients(network) for _ in range(3))
    more = [np.asarray(b, np.float64) - a for a, b in zip(first, second, strict=True)]
    again = [np.asarray(c, np.float64) - b for b, c in zip(second, third, strict=True)]
    grows = any(np.any(np.abs(m) > 1e-6 * np.max(np.abs(b), initial=0.0)) for m, b in zip(more, first, strict=True))
    steady = all(same(m, n, SLACK) or not np.any(np.abs(m) > 1e-12) for m, n in zip(more, again, strict=True))
    if grows and steady:
        text = (
            "each call of gradient adds to what the calls before have left: assign the gradients (=), "
            "or set them to zero first"
        )
        explains = right([m if np.any(np.abs(m) > 1e-12) else f for m, f in zip(more, first, strict=True)], judgement)
        yield Fault("accumulated", None, text, explains)


def _parameters_changed(stage: Stage, judgement: Judgement) -> Iterator[Fault]:
    network = stage.fresh()
    before = fingerprints(network)
    stage.gradients(network)
    after = fingerprints(network)
    changed = [name for name, paths in stage.params.items() if before[paths[0]] != after.get(paths[0])]
    if changed:
        text = f"gradient changes the parameters {', '.join(changed)}: leave the update to the caller"
        yield Fault("mutated", None, text, False)


def _not_forward(stage: Stage, judgement: Judgement) -> Iterator[Fault]:
    network = stage.fresh()
    stage.run(network, "loss")
    if right(stage.gradients(network), judgement):
        text = (
            "gradient goes backward with what the layers keep of an earlier batch: run self.loss(x, t) at its beginning"
        )
        yield Fault("stale", None, text, True)


def _not_shared(stage: Stage, judgement: Judgement) -> Iterator[Fault]:
    """Parameters that no layer holds any more: `params[key] = …` where `params[key][...] = …` is meant."""
    lonely = [name for name, paths in stage.params.items() if len(paths) == 1]
    held = [path for path in fingerprints(stage.network) if path[0] != "params"]
    unused = [
        name for name, reference in zip(stage.params, judgement.evidence.reference, strict=True)
        if name in lonely and not np.any(reference)
    ]  # fmt: skip
    shapes = {np.shape(at(stage.network, path)) for path in held}
    lost = [name for name in unused if np.shape(at(stage.network, stage.params[name][0])) in shapes]
    if lost:
        text = (
            f"the layers hold other arrays than params[{lost[0]!r}]: an update that replaces the array "
            "(params[key] = params[key] - …) does not reach them; change it in place (params[key] -= …)"
        )
        yield Fault("stale", method_line(stage.network, "loss"), text, True)


def _spoiled(stage: Stage, judgement: Judgement) -> Iterator[Fault]:
    """An array that one layer changes and another still needs."""
    for method, contract in (("backward", upstream_changed), ("forward", input_changed)):
        network = stage.fresh()
        for path in stage.layers:
            _protected(at(network, path), method)
        if not right(stage.gradients(network), judgement):
            continue
        for path in stage.layers:
            call = next((c for c in stage.calls if c.path == path), None)
            if call is None:
                continue
            layer = at(stage.network, path)
            for breach in contract(Rehearsal(layer, call.inputs, stage.start), SLACK):
                text = f"{type(layer).__name__}.{breach.text}: in this network something else needs it"
                yield Fault("mutated", breach.where, text, True)


def _protected(layer: Any, method: str) -> None:
    """Lets a method of a layer work on copies of its arguments."""
    original: Callable[..., Any] = getattr(layer, method)

    def on_copies(*args: Any, **options: Any) -> Any:
        return original(*(a.copy() if isinstance(a, np.ndarray) else a for a in args), **options)

    object.__setattr__(layer, method, on_copies)
