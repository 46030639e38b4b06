"""What a variable has of an array: attributes, methods and conversions, all by way of NumPy's functions."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.tape.graph import Array

# Methods of an array that are functions of NumPy under the same name, with the same arguments.
METHODS = {
    "all", "any", "argmax", "argmin", "argsort", "clip", "cumprod", "cumsum", "diagonal", "dot", "max",
    "mean", "min", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "squeeze", "std", "sum",
    "swapaxes", "take", "trace", "var",
}  # fmt: skip


class ArrayMethods(np.lib.mixins.NDArrayOperatorsMixin):
    """The part of `Variable` that needs nothing but its array: operators come from NumPy's own mixin."""

    __slots__ = ()

    @property
    def data(self) -> Array:
        """The array."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.data.dtype

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return self.transpose()

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)  # type: ignore[call-overload]

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """The same elements in another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **options)  # type: ignore[call-overload]

    def copy(self, order: str = "C") -> Any:
        """An array of its own with the same elements."""
        return np.copy(self, order=order)  # type: ignore[call-overload]

    def flatten(self) -> Any:
        """A copy with one axis."""
        return self.reshape(-1).copy()

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return partial(getattr(np, name), self)
        raise AttributeError(
            f"Variable.{name}: expected one of {', '.join(sorted(METHODS))}, found {name!r}. Use NumPy's "
            f"function of that name, or .data.{name} where no gradient is to flow."
        )

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.copy()

    # Variables are compared element by element, as arrays are; as a key, each is itself.
    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __contains__(self, item: Any) -> bool:
        return item in self.data

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        return str(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.data[()], spec)

    # ------ out of the recording: only where no gradient is lost

    def _number(self, operation: str) -> Array:
        raise NotImplementedError

    @property
    def needs_gradient(self) -> bool:
        """Whether a gradient can flow here."""
        raise NotImplementedError

    def assign(self, result: Any) -> Any:
        """What `self += …` and `out=self` leave."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._number("conversion to a plain array (plain[…] = variable, np.array, np.asarray, np.random)")
        return np.array(array, dtype) if copy else np.asarray(array, dtype)

    def __float__(self) -> float:
        return float(self._number("float()"))

    def __int__(self) -> int:
        return int(self._number("int()"))

    def __index__(self) -> int:
        return self._number("use as an index").__index__()

    def item(self, *index: Any) -> Any:
        """An element as a plain number."""
        return self._number(".item()").item(*index)

    def tolist(self) -> Any:
        """The elements as plain numbers."""
        return self._number(".tolist()").tolist()
