"""The check of a whole network in the book's style, and, if it is wrong, of each of its layers by itself."""

from typing import Any

from functional_nets.equations import Location
from functional_nets.gradcheck.contracts import Breach, accumulated, input_changed, upstream_changed
from functional_nets.gradcheck.judgement import Judgement, judge
from functional_nets.gradcheck.layers import examine, reworded
from functional_nets.gradcheck.numpy_code.attributes import arrays, at
from functional_nets.gradcheck.numpy_code.processes import process_faults
from functional_nets.gradcheck.numpy_code.randomness import repeatable
from functional_nets.gradcheck.numpy_code.rehearsal import Rehearsal
from functional_nets.gradcheck.numpy_code.source import contains, method_line, stored_line
from functional_nets.gradcheck.numpy_code.stage import Stage
from functional_nets.gradcheck.precision import epsilon
from functional_nets.gradcheck.program import active_nodes, walk
from functional_nets.gradcheck.report import Cause, Report, Suspect


def check_network(network: Any, x: Any, t: Any) -> Report:
    """Returns whether a network's `gradient(x, t)` is the derivative of its own `loss(x, t)`, and if not, why.

    The loss runs on the tape, whose derivative needs no backward pass of the network's. If the gradient differs,
    each layer's backward is run by itself, fed with the right upstream gradient, so that a layer is blamed for
    its own mistakes only. Only copies of the network run.

    Args:
        network: An object with `params` (a dict of arrays, which its layers share), `loss(x, t)`, and
            `gradient(x, t)`, which returns a dict with the same keys. Its layers are what it holds, in `layers`,
            `lastLayer` or elsewhere, that has `forward` and `backward`.
        x: A batch.
        t: Its labels.

    Raises:
        TypeError: The network lacks one of those.
        ValueError: `gradient` returns other keys than those of `params`.
    """
    for name in ("params", "loss", "gradient"):
        if not hasattr(network, name):
            raise TypeError(
                f"Expected a network with params, loss(x, t) and gradient(x, t), found a {type(network).__name__} "
                f"without {name}: check its layers one by one with check_layer."
            )
    with repeatable() as start:
        return _Examined(Stage(network, x, t, start)).report()


class _Examined:
    """A network's gradient, compared."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.name = type(stage.network).__name__
        self.program, self.outputs, measured = stage.program()
        self.given = self._given()
        precision = epsilon([*self.given, *stage.batch, *arrays(stage.network).values()])
        self.precision = precision
        evaluate = [lambda value, n=n: stage.loss({n: value}) for n in range(len(self.given))]  # type: ignore[misc]
        self.judgement: Judgement = judge(
            self.program, self.given, list(stage.params), precision, evaluate=evaluate, measured=measured
        )

    def _given(self) -> list[Any]:
        stage = self.stage
        try:
            return stage.gradients(stage.fresh())
        except (AttributeError, TypeError, KeyError, IndexError):
            network = stage.fresh()
            stage.run(network, "loss")
            found = stage.gradients(network)
            stage.notes.append("gradient works only after loss has run: call self.loss(x, t) at its beginning")
            return found

    def report(self) -> Report:
        judgement, stage = self.judgement, self.stage
        wrong = tuple(judgement.leaves[n].path for n in judgement.wrong)
        faults = process_faults(stage, judgement)
        causes: list[Cause] = []
        if not judgement.ok:
            causes = [self._process(fault, wrong) for fault in faults if fault.explains]
            causes = causes or self._layers(wrong) or self._whole(wrong)
        elif faults:
            causes = [self._process(fault, tuple(stage.params)) for fault in faults]
        suspects: tuple[Suspect, ...] = ()
        if not judgement.ok and not causes:
            where = method_line(stage.network, "gradient")
            suspects = (Suspect(self.name, where.file if where else None, where.line if where else None),)
        notes = [*self.program.notes, *stage.notes, *judgement.notes, *self._harmless(causes)]
        ok = judgement.ok and not causes
        return Report(ok, judgement.leaves, tuple(causes), suspects or self._suspects, tuple(dict.fromkeys(notes)))

    _suspects: tuple[Suspect, ...] = ()

    def _process(self, fault: Any, leaves: tuple[str, ...]) -> Cause:
        where, name = fault.where, self.name
        if fault.kind == "accumulated":  # Perhaps it is a layer that adds up.
            for path in self.stage.layers:
                for breach in self._breach(accumulated, path):
                    where, name = breach.where, type(at(self.stage.network, path)).__name__
        where = where or method_line(self.stage.network, "gradient")
        return _cause(fault.kind, name, where, leaves, 0.0, fault.text)

    def _rehearsal(self, path: Any, douts: Any = None, inputs: Any = None) -> Rehearsal | None:
        """The layer at a path with what it is given in the network; None if it did not run."""
        call = next((c for c in self.stage.calls if c.path == path), None)
        if call is None:
            return None
        try:
            layer = at(self.stage.network, path)
            return Rehearsal(layer, call.inputs if inputs is None else inputs, self.stage.start, douts)
        except Exception:
            return None

    def _breach(self, contract: Any, path: Any) -> list[Breach]:
        rehearsal = self._rehearsal(path)
        try:
            return list(contract(rehearsal, 1e-9)) if rehearsal else []
        except Exception:
            return []

    def _layers(self, wrong: tuple[str, ...]) -> list[Cause]:
        """Each layer by itself, with the upstream gradient that it should have been handed."""
        cotangents = walk(self.program, active_nodes(self.program, self.program.leaves))
        causes: dict[tuple[Any, ...], Cause] = {}
        for number, call in enumerate(self.stage.calls):
            dout = cotangents.get(self.outputs.get(number, -1))
            if self.outputs and dout is None:
                continue
            rehearsal = self._rehearsal(call.path, None if dout is None else [dout], call.inputs)
            if rehearsal is None:
                continue
            # In a network at the precision of its parameters, a layer's own numbers are no more precise.
            report = examine(rehearsal, contracts=False).report
            for cause in report.causes:
                kept = cause._replace(leaves=wrong)
                causes.setdefault((cause.mistake, cause.file, cause.line), kept)
            if not report.ok and not report.causes:
                self._suspects = (*self._suspects, *report.suspects)
        # Where a loss is guarded by log(y + ε), that alone is wrong by no more than ε: seldom what is looked for.
        return sorted(causes.values(), key=lambda cause: cause.mistake == "wrong_loss")

    def _whole(self, wrong: tuple[str, ...]) -> list[Cause]:
        """All layers are right by themselves: what is wrong is how `gradient` puts them together."""
        if self._suspects:
            return []
        network = self.stage.network
        causes = []
        for each in reworded(self.judgement):
            node = self.program.nodes[each.position] if each.position is not None else None
            where = node.where if node is not None and contains(network, node.where) else None
            if where is None and len(wrong) == 1:
                where = stored_line(network, "gradient", wrong[0])
            where = where or method_line(network, "gradient")
            causes.append(
                _cause(each.kind, self.name, where, wrong, each.residual, f"{self.name}.gradient: {each.text}")
            )
        return causes

    def _harmless(self, causes: list[Cause]) -> list[str]:
        notes = []
        for path in self.stage.layers:
            name = type(at(self.stage.network, path)).__name__
            for contract, what in ((upstream_changed, "backward changes dout"), (input_changed, "forward changes x")):
                for breach in self._breach(contract, path):
                    where = breach.where
                    place = f" ({where.file}:{where.line})" if where else ""
                    if any(cause.mistake == "mutated" for cause in causes):
                        continue
                    notes.append(
                        f"{name}.{what} in place{place}: it does no harm in this network, "
                        "and would where another layer still needs that array"
                    )
        return notes


def _cause(kind: str, name: str, where: Location | None, leaves: tuple[str, ...], residual: float, text: str) -> Cause:
    file, line = (where.file, where.line) if where else (None, None)
    return Cause(kind, name, file, line, leaves, residual, text)
