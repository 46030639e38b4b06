"""The values of reductions and cumulative primitives."""

from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.pooling import highest, lowest
from functional_nets.backprop.values.table import value


def cumulative(ufunc: np.ufunc) -> Callable[..., Any]:
    """Return the value of the cumulative primitive that applies `ufunc`, from either end of an axis."""

    def formula(x: Any, *, axis: int, reverse: bool) -> Any:
        ahead = np.flip(x, axis) if reverse else x
        result = ufunc.accumulate(ahead, axis=axis, dtype=x.dtype)
        return np.flip(result, axis) if reverse else result

    return formula


# fmt: off
value("reduce_sum",  lambda x, *, axes: np.sum(x, axis=tuple(axes), dtype=x.dtype))
value("reduce_prod", lambda x, *, axes: np.prod(x, axis=tuple(axes), dtype=x.dtype))
value("reduce_max",  lambda x, *, axes: np.max(x, axis=tuple(axes), initial=lowest(x.dtype)))
value("reduce_min",  lambda x, *, axes: np.min(x, axis=tuple(axes), initial=highest(x.dtype)))
value("reduce_and",  lambda x, *, axes: np.bitwise_and.reduce(x, axis=tuple(axes)))
value("reduce_or",   lambda x, *, axes: np.bitwise_or.reduce(x, axis=tuple(axes)))
value("reduce_xor",  lambda x, *, axes: np.bitwise_xor.reduce(x, axis=tuple(axes)))
value("argmax",      lambda x, *, axes, index_dtype: np.argmax(x, axis=axes[0]).astype(index_dtype))
value("argmin",      lambda x, *, axes, index_dtype: np.argmin(x, axis=axes[0]).astype(index_dtype))

value("cumsum",       cumulative(np.add))
value("cumprod",      cumulative(np.multiply))
value("cummax",       cumulative(np.maximum))
value("cummin",       cumulative(np.minimum))
value("cumlogsumexp", cumulative(np.logaddexp))
# fmt: on
