"""A layer that is run again and again, each time from the state in which it was given."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.tape import Variable, recording
from functional_nets.gradcheck.numpy_code.attributes import Path, at, duplicate
from functional_nets.gradcheck.numpy_code.parameters import Parameter, assign, parameters, real_places
from functional_nets.gradcheck.numpy_code.record import NotRecordedError, Recorder, differenced
from functional_nets.gradcheck.numpy_code.slopes import agrees
from functional_nets.gradcheck.numpy_code.source import method_line
from functional_nets.gradcheck.program import Program, active_nodes, gradient, walk


class Target(NamedTuple):
    """Something whose gradient the layer gives.

    Attributes:
        name: What to call it.
        place: Its place among the inputs, None for a parameter.
        returned: The place of its gradient in what backward returns, None if it lies in an attribute.
        parameter: The parameter, None for an input.
    """

    name: str
    place: int | None
    returned: int | None
    parameter: Parameter | None

    @property
    def stored(self) -> Path | None:
        """Where its gradient lies in the layer."""
        return self.parameter.gradient if self.parameter and self.returned is None else None


class Ran(NamedTuple):
    """A layer after its forward pass: the copy that ran, what it was given, and what it gave."""

    layer: Any
    inputs: list[Any]
    outputs: tuple[Any, ...]


class Rehearsal:
    """A layer and what to run it with.

    Args:
        layer: The layer; it is copied, and only copies run.
        inputs: What forward takes.
        start: Starts the random numbers over.
        douts: The upstream gradient of each output; by default 1 for a number, random numbers for an array.
    """

    def __init__(self, layer: Any, inputs: Sequence[Any], start: Callable[[], None], douts: Any = None):
        self.layer, self.start = duplicate(layer), start
        self.inputs = [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]
        self.notes: list[str] = []
        self.targets: list[Target] = []
        self._cast: set[int] = set()
        ran = self.forward()
        self.scalar = all(np.ndim(out) == 0 for out in ran.outputs)
        random = np.random.default_rng(1)
        self.douts = [np.array(d) for d in douts] if douts is not None else [
            np.asarray(1.0) if self.scalar else random.standard_normal(np.shape(out)).astype(_real_type(out))
            for out in ran.outputs
        ]  # fmt: skip
        self._find_targets()

    @property
    def names(self) -> list[str]:
        """The names of forward's arguments."""
        try:
            known = [
                p.name for p in inspect.signature(self.layer.forward).parameters.values()
                if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            ]  # fmt: skip
        except (TypeError, ValueError):
            known = []
        return [known[i] if i < len(known) else f"input{i}" for i in range(len(self.inputs))]

    def copies(self) -> list[Any]:
        """Returns the inputs anew, so that nobody can spoil them."""
        return [
            np.asarray(x, np.float64) if i in self._cast else x.copy() if isinstance(x, np.ndarray) else duplicate(x)
            for i, x in enumerate(self.inputs)
        ]

    def forward(self, replaced: Mapping[int, Any] = {}, *, layer: Any = None, inputs: Any = None) -> Ran:
        """Returns a copy of the layer after its forward pass.

        Args:
            replaced: Other values, by the target's number.
            layer: The copy to run, with all that it remembers; by default a new one.
            inputs: What to run it with.
        """
        if layer is None:
            self.start()
            layer = duplicate(self.layer)
        inputs = self.copies() if inputs is None else inputs
        for number, value in replaced.items():
            target = self.targets[number]
            if target.place is not None:
                inputs[target.place] = value
            elif target.parameter is not None:
                assign(layer, target.parameter.paths, value)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = layer.forward(*inputs)
        return Ran(layer, inputs, tuple(out) if isinstance(out, (tuple, list)) else (out,))

    def call_backward(self, ran: Ran, douts: Sequence[Any] | None = None) -> Any:
        """Returns what backward returns."""
        douts = [d.copy() if d.ndim else d[()] for d in self.douts] if douts is None else list(douts)
        try:
            wanted = [
                p for p in inspect.signature(ran.layer.backward).parameters.values()
                if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
            ]  # fmt: skip
        except (TypeError, ValueError):
            wanted = []
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not wanted:
                return ran.layer.backward()
            many = len(douts) > 1 and len(wanted) == 1 and wanted[0].kind is not wanted[0].VAR_POSITIONAL
            return ran.layer.backward(tuple(douts)) if many else ran.layer.backward(*douts)

    @property
    def takes_upstream(self) -> bool:
        """Whether backward takes an upstream gradient at all."""
        return bool(inspect.signature(self.layer.backward).parameters)

    def gradients(self, ran: Ran, douts: Sequence[Any] | None = None) -> list[Any]:
        """Returns the gradient of each target, None where there is none, as arrays of its own."""
        returned = as_list(self.call_backward(ran, douts), self.names)
        found = []
        for target in self.targets:
            if target.returned is not None:
                value = returned[target.returned] if target.returned < len(returned) else None
            else:
                value = at(ran.layer, target.stored) if target.stored else None
            found.append(None if value is None else np.array(_plain(value)))
        return found

    def value(self, target: Target) -> Any:
        """Returns the value of a target in float64."""
        if target.place is not None:
            return np.asarray(self.inputs[target.place], np.float64)
        assert target.parameter is not None
        return np.asarray(at(self.layer, target.parameter.paths[0]), np.float64)

    def dtype(self, target: Target) -> Any:
        """Returns the type in which a target was given."""
        given = self.inputs[target.place] if target.place is not None else None
        if target.parameter is not None:
            given = at(self.layer, target.parameter.paths[0])
        return np.asarray(given).dtype

    def weighted(self, replaced: Mapping[int, Any]) -> Any:
        """Returns the elements of the outputs, each times its upstream gradient, at other values."""
        ran = self.forward({number: _as_given(value) for number, value in replaced.items()})
        parts = [np.ravel(d * np.asarray(_plain(o))) for d, o in zip(self.douts, ran.outputs, strict=True)]
        return np.concatenate(parts)

    def evaluate(self, replaced: Mapping[int, Any]) -> float:
        """Returns their sum, whose gradient backward gives."""
        return float(np.sum(self.weighted(replaced)))

    def _at(self, number: int, value: Any) -> float:
        return self.evaluate({number: value})

    def program(self) -> tuple[Program, bool]:
        """Returns forward as a program of the targets, and whether its gradient is only measured."""
        values = [self.value(target) for target in self.targets]
        try:
            program = self._recorded(values)
            active = active_nodes(program, program.leaves)
            for number, slope in enumerate(gradient(program, walk(program, active))):
                if not agrees(partial(self._at, number), values[number], slope):
                    raise NotRecordedError(f"it does not see how {self.targets[number].name} enters")
            return program, False
        except NotRecordedError as error:
            reason = str(error)
        except Exception as error:  # Whatever plain arrays can do and variables cannot.
            reason = f"{type(error).__name__}: {str(error).split(chr(10))[0][:100]}"
        self.notes.append(
            f"the tape cannot record forward ({reason}); its gradient is measured by central differences instead"
        )
        where = method_line(self.layer, "forward")
        return differenced(lambda *xs: self.evaluate(dict(enumerate(xs))), values, where), True

    def _recorded(self, values: Sequence[Any]) -> Program:
        # A leaf of a gradient is a variable that the code cannot write to: what it writes to is a copy.
        variables = [Variable(_as_given(value)) for value in values]
        leaves = [variable.node for variable in variables]
        with recording():
            ran = self.forward(dict(enumerate(variables)))
        others = [np.asarray(x) for i, x in enumerate(self.inputs) if all(t.place != i for t in self.targets)]
        recorder = Recorder(leaves, [x for x in others if x.dtype.kind in "fiub"])
        recorder.record([out.node for out in ran.outputs if isinstance(out, Variable)])
        program = recorder.program(recorder.weighted(ran.outputs, self.douts))
        plain = self.weighted({})
        if abs(float(program.values[program.result]) - np.sum(plain)) > 1e-4 * (np.sum(np.abs(plain)) or 1.0):
            raise NotRecordedError("it computes another value with variables")
        return program

    def _find_targets(self) -> None:
        self.start()
        layer = duplicate(self.layer)
        before = real_places(layer)
        ran = self.forward(layer=layer)
        kept = {path: at(layer, path) for path in before}
        returned = as_list(self.call_backward(ran), self.names)
        before = {path: value for path, value in before.items() if kept[path] is value}
        learned, without = parameters(before, layer)
        self.targets = self._inputs(returned, learned)
        without = [name for name in without if name not in self._returned_names]
        if without:
            self.notes.append(f"no gradient of {', '.join(without)} is kept: not checked")
        taken = {target.parameter for target in self.targets}
        self.targets += [
            Target(p.name, None, None, p) for p in learned if p not in taken and p.name not in self._returned_names
        ]

    def _inputs(self, returned: list[Any], learned: Sequence[Parameter]) -> list[Target]:
        names = self.names
        real = [i for i, x in enumerate(self.inputs) if np.asarray(x).dtype.kind == "f"]
        numbers = [i for i, x in enumerate(self.inputs) if np.asarray(x).dtype.kind in "fi" and not isinstance(x, bool)]
        self._returned_names: set[str] = set()
        if len(returned) == len(self.inputs):
            chosen = [i for i in range(len(returned)) if i in numbers and returned[i] is not None]
            pairs = [(i, i) for i in chosen if i in real or np.ndim(self.inputs[i]) == 0 or not real]
        elif len(returned) <= len(real):
            pairs = [(i, place) for place, i in enumerate(real[: len(returned)]) if returned[place] is not None]
        else:
            first = (
                real if len(returned) - len(real) >= len(returned) - len(self.inputs) else list(range(len(self.inputs)))
            )
            pairs = [(i, place) for place, i in enumerate(first)]
        self._cast = {i for i, _ in pairs if i not in real}
        found = [Target(names[i], i, place, None) for i, place in pairs]
        missing = [names[i] for i in real if all(i != t.place for t in found)]
        if missing and not self.scalar:
            self.notes.append(f"backward gives no gradient of {', '.join(missing)}: not checked")
        return found + self._returned_parameters(
            returned[len(pairs) :] if len(returned) > len(self.inputs) else [], len(pairs)
        )

    def _returned_parameters(self, extra: list[Any], first: int) -> list[Target]:
        """Parameters whose gradients are returned behind those of the inputs."""
        places = [
            (path, value) for path, value in real_places(self.layer).items()
            if isinstance(value, np.ndarray) and len(path) == 1
        ]  # fmt: skip
        found = []
        for place, value in enumerate(extra, first):
            match = next((p for p in places if np.shape(p[1]) == np.shape(value)), None)
            if match is not None:
                places.remove(match)
                name = str(match[0][0])
                self._returned_names.add(name)
                found.append(Target(name, None, place, Parameter(name, (match[0],), None)))
        return found


def as_list(returned: Any, names: Sequence[str]) -> list[Any]:
    """Returns what backward returns as a list, in the order of the inputs."""
    if returned is None:
        return []
    if isinstance(returned, Mapping):
        return [next((returned[k] for k in (n, f"d{n}") if k in returned), None) for n in names]
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _plain(value: Any) -> Any:
    return value.data if isinstance(value, Variable) else value


def _as_given(value: Any) -> Any:
    """A number as NumPy's scalar, which `x += 1` does not change in place."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _real_type(out: Any) -> Any:
    dtype = np.asarray(_plain(out)).dtype
    return dtype if dtype.kind == "f" else np.float64
