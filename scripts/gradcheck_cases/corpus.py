"""What a case is: a network, a wrong gradient of it with what a teacher would say, or a right gradient."""

import copy
import inspect
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

MISTAKES = (
    "scale",
    "sign",
    "missing_term",
    "extra_term",
    "wrong_reduction",
    "wrong_operand",
    "wrong_derivative",
    "wrong_mask",
    "transposed",
    "wrong_axis",
    "accumulated",
    "overwritten",
    "mutated",
    "stale",
    "permuted",
    "wrong_pooling",
    "wrong_loss",
    "upstream",
    "wrong_shape",
)


class Network(NamedTuple):
    """A forward pass in JAX, its inputs, and its gradient by hand in NumPy.

    `inputs(rng, n)` returns `(params, args)` in float64, with `n` examples where the network has a batch.
    A comment `# @name` at the end of a line of the forward pass gives that line a name.
    """

    name: str
    loss_fn: Callable[..., Any]
    inputs: Callable[..., tuple[Any, tuple]]
    grads: Callable[..., Any]
    batch: int = 6

    def example(self, seed: int = 0, n: int | None = None, dtype: Any = np.float64) -> tuple[Any, tuple]:
        """Parameters and arguments of one case, every array a fresh copy."""
        params, args = self.inputs(np.random.default_rng(seed), self.batch if n is None else n)
        return cast(params, dtype), cast(args, dtype)

    @property
    def file(self) -> pathlib.Path:
        """The file of the forward pass."""
        return pathlib.Path(inspect.getfile(self.loss_fn)).resolve()

    def line(self, marker: str) -> int:
        """The number of the one line that ends in `# @marker`."""
        lines = self.file.read_text().splitlines()
        found = [number for number, text in enumerate(lines, 1) if text.endswith(f"# @{marker}")]
        if len(found) != 1:
            raise LookupError(f"Expected one line marked @{marker} in {self.file}, got {found}")
        return found[0]

    def fault(
        self,
        *mistakes: str,
        at: str | tuple[str, ...] | None,
        loss: Callable[..., float] | None = None,
        single: bool = False,
        called: bool = False,
        seed: int = 0,
        n: int | None = None,
    ) -> Callable:
        """Register the function below as a wrong gradient; its docstring says what went wrong.

        Args:
            mistakes: the ids that a teacher would accept.
            at: the markers of the lines that a teacher would accept, or None if no line is to blame.
            loss: what the hand-written code computed as its loss, if it did.
            single: in float32.
            called: the check is given the function rather than the values.
            seed: of the inputs.
            n: the number of examples.
        """

        def register(function: Callable) -> Callable:
            case_id = f"{self.name}/{function.__name__}"
            markers = (at,) if isinstance(at, str) else at
            options = Options(single, called, seed, n)
            FAULTS.append(Fault(case_id, self, function, frozenset(mistakes), markers, loss, options))
            return function

        return register

    def right(self, single: bool = False, called: bool = False, seed: int = 0, n: int | None = None) -> Callable:
        """Register the function below as another right gradient of this network."""

        def register(function: Callable) -> Callable:
            case_id = f"{self.name}/{function.__name__}"
            params, args = self.example(seed, n, np.float32 if single else np.float64)
            CONTROLS.append(Control(case_id, self.loss_fn, params, args, function, called))
            return function

        return register


class Options(NamedTuple):
    """How a fault is run."""

    single: bool = False
    called: bool = False
    seed: int = 0
    n: int | None = None

    @property
    def dtype(self) -> Any:
        """The type of every real array."""
        return np.float32 if self.single else np.float64


class Fault(NamedTuple):
    """A wrong gradient, and where and what a teacher would say is wrong."""

    id: str
    network: Network
    gradient: Callable[..., Any]
    mistakes: frozenset[str]
    markers: tuple[str, ...] | None
    loss: Callable[..., float] | None
    options: Options

    is_wrong = True

    def lines(self) -> set[tuple[str, int]]:
        """The files and lines that count as right; empty if no line is to blame."""
        return {(str(self.network.file), self.network.line(marker)) for marker in self.markers or ()}

    def example(self) -> tuple[Any, tuple]:
        """Parameters and arguments of this case."""
        return self.network.example(self.options.seed, self.options.n, self.options.dtype)

    def values(self) -> Any:
        """The wrong gradient, computed on copies: it may change its inputs."""
        params, args = self.example()
        return self.gradient(params, *args)

    def loss_value(self) -> float | None:
        """The loss that the hand-written code computed, if it did."""
        params, args = self.example()
        return None if self.loss is None else float(self.loss(params, *args))

    def report(self, gradcheck: Any) -> Any:
        """What the check says."""
        params, args = self.example()
        manual = self.gradient if self.options.called else self.values()
        loss = self.loss_value()
        return gradcheck.check(self.network.loss_fn, params, *args, manual=manual, manual_loss=loss)


class Control(NamedTuple):
    """A right gradient: whatever is reported about it is a false alarm."""

    id: str
    loss_fn: Callable[..., Any]
    params: Any
    args: tuple
    gradient: Callable[..., Any]
    called: bool = False
    loss: Callable[..., float] | None = None

    is_wrong = False

    def example(self) -> tuple[Any, tuple]:
        """Copies of parameters and arguments."""
        return copy.deepcopy((self.params, self.args))

    def values(self) -> Any:
        """The right gradient."""
        params, args = self.example()
        return self.gradient(params, *args)

    def report(self, gradcheck: Any) -> Any:
        """What the check says."""
        params, args = self.example()
        manual = self.gradient if self.called else self.values()
        loss = None if self.loss is None else float(self.loss(params, *args))
        return gradcheck.check(self.loss_fn, params, *args, manual=manual, manual_loss=loss)


FAULTS: list[Fault] = []
CONTROLS: list[Control] = []


def cast(tree: Any, dtype: Any) -> Any:
    """Copy a tree of arrays, its real ones in another type, with no more sharing between leaves."""
    if isinstance(tree, dict):
        return {key: cast(value, dtype) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(cast(value, dtype) for value in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(cast(value, dtype) for value in tree)
    array = np.array(tree)
    return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree, dictionaries by sorted key as JAX does."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [np.asarray(tree)]
