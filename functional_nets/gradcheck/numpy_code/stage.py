"""A network that is run again and again, with an eye on what passes between its layers."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.tape import Variable, recording
from functional_nets.gradcheck.numpy_code.attributes import Path, at, duplicate, walk
from functional_nets.gradcheck.numpy_code.parameters import assign
from functional_nets.gradcheck.numpy_code.record import NotRecordedError, Recorder, differenced
from functional_nets.gradcheck.numpy_code.slopes import agrees
from functional_nets.gradcheck.numpy_code.source import method_line
from functional_nets.gradcheck.program import Program, active_nodes, gradient
from functional_nets.gradcheck.program import walk as walk_back


class Call(NamedTuple):
    """A layer's forward pass within a network's: the layer's path, what it was given and what it gave."""

    path: Path
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


class Stage:
    """A network, its batch, and its parameters.

    Args:
        network: It is copied, and only copies run.
        x: The batch.
        t: Its labels.
        start: Starts the random numbers over.
    """

    def __init__(self, network: Any, x: Any, t: Any, start: Callable[[], None]):
        self.network, self.start = duplicate(network), start
        self.batch = [np.array(each) for each in (x, t)]
        self.notes: list[str] = []
        self.calls: list[Call] = []
        held: dict[int, list[Path]] = {}
        for path, _, value in walk(self.network):
            if isinstance(value, np.ndarray):
                held.setdefault(id(value), []).append(path)
        params = self.network.params
        pairs = params.items() if isinstance(params, Mapping) else enumerate(params)
        self.params: dict[str, tuple[Path, ...]] = {
            str(key): tuple(held[id(value)])
            for key, value in pairs
            if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        }

    @property
    def layers(self) -> list[Path]:
        """The paths of the network's layers: of all it holds that has both passes, each once."""
        seen: set[int] = set()
        found: list[Path] = []
        for path, _, value in walk(self.network):
            if id(value) not in seen and all(callable(getattr(value, n, None)) for n in ("forward", "backward")):
                seen.add(id(value))
                if not any(path[: len(other)] == other for other in found):  # A part of another layer.
                    found.append(path)
        return found

    def copies(self) -> list[Any]:
        """Returns the batch anew."""
        return [each.copy() for each in self.batch]

    def fresh(self, replaced: Mapping[int, Any] = {}) -> Any:
        """Returns a copy of the network, with other parameters if some are given by number."""
        self.start()
        network = duplicate(self.network)
        for number, value in replaced.items():
            assign(network, list(self.params.values())[number], value)
        return network

    def values(self) -> list[Any]:
        """Returns the parameters in float64."""
        return [np.asarray(at(self.network, paths[0]), np.float64) for paths in self.params.values()]

    def run(self, network: Any, method: str) -> Any:
        """Returns what a method of a network gives on the batch."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(network, method)(*self.copies())

    def loss(self, replaced: Mapping[int, Any] = {}) -> float:
        """Returns the loss at other parameters."""
        return float(np.sum(_plain(self.run(self.fresh(replaced), "loss"))))

    def gradients(self, network: Any) -> list[Any]:
        """Returns what the network's own `gradient` gives, in the order of the parameters.

        Raises:
            ValueError: It gives none of some parameter, or one of something else.
        """
        found = self.run(network, "gradient")
        names = list(self.params)
        if not isinstance(found, Mapping):
            found = dict(zip(names, found, strict=False))
        found = {str(key): value for key, value in found.items()}
        missing = [name for name in names if found.get(name) is None]
        extra = [name for name in found if name not in names and name not in map(str, self._keys())]
        if missing or extra:
            what = f"none of {missing[0]!r}" if missing else f"one of {extra[0]!r}"
            raise ValueError(
                f"Expected gradient(x, t) to return a gradient of each of {', '.join(names)}, found {what}: "
                "give it the keys of params."
            )
        return [np.array(_plain(found[name])) for name in names]

    def _keys(self) -> Sequence[Any]:
        params = self.network.params
        return list(params) if isinstance(params, Mapping) else range(len(params))

    def program(self) -> tuple[Program, dict[int, int], bool]:
        """Returns the loss as a program, the numbers of the layers' outputs by call, and whether it is measured."""
        values = self.values()
        try:
            program, outputs = self._recorded(values)
            slopes = gradient(program, walk_back(program, active_nodes(program, program.leaves)))
            for number, slope in enumerate(slopes):
                if not agrees(_at(self.loss, number), values[number], slope):
                    raise NotRecordedError(f"it does not see how {list(self.params)[number]} enters")
            return program, outputs, False
        except NotRecordedError as error:
            reason = str(error)
        except Exception as error:  # Whatever plain arrays can do and variables cannot.
            reason = f"{type(error).__name__}: {str(error).split(chr(10))[0][:100]}"
        self.notes.append(f"the tape cannot record loss ({reason}); its gradient is measured by differences instead")
        where = method_line(self.network, "loss")
        self._plain_calls()
        return differenced(lambda *xs: self.loss(dict(enumerate(xs))), values, where), {}, True

    def _recorded(self, values: Sequence[Any]) -> tuple[Program, dict[int, int]]:
        variables = [Variable(value) for value in values]
        leaves = [variable.node for variable in variables]
        with recording(), self.watched(self.fresh(dict(enumerate(variables)))) as (network, calls):
            loss = self.run(network, "loss")
        recorder = Recorder(leaves, self.batch)
        if not isinstance(loss, Variable):
            raise NotRecordedError("the loss does not depend on params, as far as the tape can see")
        recorder.record([loss.node])
        result = recorder.weighted([loss], [np.ones(np.shape(loss.data))])
        program = recorder.program(result)
        plain = self.loss()
        if abs(float(program.values[result]) - plain) > 1e-4 * max(abs(plain), 1e-6):
            raise NotRecordedError("it computes another value with variables")
        self.calls = [Call(c.path, tuple(map(_plain, c.inputs)), tuple(map(_plain, c.outputs))) for c in calls]
        outputs = {
            number: recorder.numbers[call.outputs[0]]
            for number, call in enumerate(calls)
            if len(call.outputs) == 1 and call.outputs[0] in recorder.numbers
        }
        return program, outputs

    def _plain_calls(self) -> None:
        with self.watched(self.fresh()) as (network, calls):
            self.run(network, "loss")
        self.calls = calls

    @contextmanager
    def watched(self, network: Any) -> Iterator[tuple[Any, list[Call]]]:
        """Gives a network that writes down what its layers' forward passes are given and give."""
        calls: list[Call] = []
        for path in self.layers:
            layer = at(network, path)
            original = layer.forward

            def forward(*args: Any, path: Path = path, original: Any = original, **options: Any) -> Any:
                inputs = tuple(_frozen(each) for each in args)
                out = original(*args, **options)
                outs = out if isinstance(out, (tuple, list)) else (out,)
                calls.append(Call(path, inputs, tuple(_frozen(each) for each in outs)))
                return out

            object.__setattr__(layer, "forward", forward)
        yield network, calls


def _at(function: Callable[[Mapping[int, Any]], float], number: int) -> Callable[[Any], float]:
    return lambda value: function({number: value})


def _frozen(value: Any) -> Any:
    """What a value is now: the node that a variable names, a copy of an array."""
    if isinstance(value, Variable):
        return value.node
    return value.copy() if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    return value.data if hasattr(value, "creator") else value
