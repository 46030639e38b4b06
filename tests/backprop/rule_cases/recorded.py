"""The least value that records: it stands for a tape, and refuses all that would lose the record."""

from typing import Any

import numpy as np

from functional_nets.backprop.values import evaluate

# A truth has no derivative: it is a plain array.
PLAIN = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


class Recorded(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose operations NumPy's protocols and `__primitive__` hand over; their names are kept."""

    def __init__(self, data: Any, functions: set[str]):
        self.data, self.functions = np.asarray(data), functions
        self.shape, self.ndim, self.dtype = self.data.shape, self.data.ndim, self.data.dtype

    def _make(self, name: str, result: Any) -> Any:
        self.functions.add(name)
        return result if name in PLAIN else Recorded(result, self.functions)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        assert method == "__call__", f"a rule called {ufunc.__name__}.{method}"
        assert "out" not in options, f"a rule writes in place by {ufunc.__name__}"
        return self._make(ufunc.__name__, ufunc(*map(_data, inputs), **options))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return self._make(function.__name__, function(*map(_data, args), **options))

    def __getitem__(self, index: Any) -> "Recorded":
        return self._make("take", self.data[index])

    @classmethod
    def __primitive__(cls, name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        recorder = next(x for x in inputs if isinstance(x, cls))
        return recorder._make(name, evaluate(name, tuple(map(_data, inputs)), params))

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("a rule makes a plain array of a value that records")

    __bool__ = __float__ = __len__ = __iter__ = __setitem__ = __array__  # type: ignore[assignment]


def _data(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return type(x)(map(_data, x))
    return x.data if isinstance(x, Recorded) else x
