"""What every layer shares: it remembers its forward pass, and asks the table of rules for the way back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.backprop.tape import Variable
from functional_nets.backprop.tape import backward as differentiate

NO_PARAMS: Mapping[str, Any] = {}


class Layer:
    """A function with its derivative: `forward(*inputs)`, then `backward(dout)`.

    `backward` returns the gradients of the inputs and keeps that of a parameter `w` as `dw`. It changes
    neither `dout` nor what the layer remembers: it can be called again, with another `dout`. On variables of
    the tape, `forward` is recorded like any other function.

    Attributes:
        parameters: The names of what the layer learns.
        out: The result of the last forward pass, None before it.
        train: Whether to behave as in training.
    """

    parameters: tuple[str, ...] = ()
    out: Any = None
    train: bool = True

    def forward(self, *inputs: Any) -> Any:
        """Compute the result and remember what its derivative needs."""
        raise NotImplementedError

    def backward(self, dout: Any) -> Any:
        """Return the gradient of each input, given that of the result."""
        raise NotImplementedError

    def upstream(self, dout: Any) -> Any:
        """The gradient that comes from above, checked against the result that it belongs to.

        Raises:
            RuntimeError: There was no forward pass.
            ValueError: It is of another shape.
        """
        name = type(self).__name__
        if self.out is None:
            raise RuntimeError(f"{name}.backward: expected a forward pass before it, found none.")
        if np.shape(dout) != np.shape(self.out):
            raise ValueError(f"{name}.backward: expected dout of shape {np.shape(self.out)}, found {np.shape(dout)}.")
        return dout


def pull_back(
    primitive: str, dout: Any, out: Any, inputs: tuple[Any, ...], params: Mapping[str, Any] = NO_PARAMS
) -> tuple[Any, ...]:
    """The gradients of a primitive's inputs, in arrays of their own; Python numbers stay numbers."""
    if all(isinstance(x, int | float) for x in (dout, *inputs)):
        return RULES[primitive](dout, out, *inputs, **params)
    parts = backward(primitive, floats(dout), out, tuple(map(floats, inputs)), dict(params))
    return tuple(None if part is None else np.array(part) for part in parts)


def floats(x: Any) -> Any:
    """An array or variable that can have a gradient: whole numbers as floats, masks as they are."""
    x = x if isinstance(x, Variable) else np.asarray(x)
    return x.astype(float) if x.dtype.kind in "iu" else x


class Recorded(Layer):
    """A layer of several steps: its formula runs on the tape, which goes back by the rule of each step."""

    def formula(self, *inputs: Any) -> Any:
        """What the layer computes, in NumPy, from its inputs and then its parameters."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        """Evaluate the formula and record it."""
        given = [*inputs, *(getattr(self, name) for name in self.parameters)]
        self._variables = [x if isinstance(x, Variable) else Variable(floats(x)) for x in given]
        self._result = self.formula(*self._variables)
        self.out = self._result.data[()]
        return self._result if any(isinstance(x, Variable) for x in given) else self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of each input; keep those of the parameters as `d` and their name."""
        dout = self.upstream(dout)
        grads = differentiate(self._result, dout)
        (*of_inputs,) = (grads[x] for x in self._variables[: len(self._variables) - len(self.parameters)])
        for name, variable in zip(self.parameters, self._variables[len(of_inputs) :], strict=True):
            setattr(self, f"d{name}", grads[variable])
        return of_inputs[0] if len(of_inputs) == 1 else tuple(of_inputs)
