"""Functions of arrays that call every function of NumPy that the tape knows: name → (function, shapes).

A shape that starts with `POSITIVE` stands for numbers from 0.5 to 2, any other for normal ones. `ANALYTIC`
functions take complex numbers and treat them as analytic functions do; `PIECEWISE` ones do not.
"""

import numpy as np

POSITIVE = "positive"


def with_numbers(f):
    """A function of two arrays, also called with a number on each side."""
    return lambda x, y: f(x, y) * f(x, 2.5) * f(0.7, y)


def kept_and_not(f, axis):
    """A reduction, with and without the axes that it reduces."""
    return lambda x: f(x, axis=axis, keepdims=True) * f(x, axis=axis).sum()


ANALYTIC = {
    # Elementwise.
    "power": (lambda x, y: np.power(x, y) + x**y + 2.0**y, [(POSITIVE, 2, 3), (3,)]),
    "integer powers": (
        lambda x: x**2 + x**3 + x**-1 + x**0.5 + x**0 + x**1 + np.power(x, 2.0),
        [(POSITIVE, 2, 3)],
    ),
    "float_power": (lambda x: np.float_power(x, 2), [(POSITIVE, 2, 3)]),
    "arccosh": (lambda x: np.arccosh(x + 1), [(POSITIVE, 2, 3)]),
    "arcsin": (lambda x: np.arcsin(x / 9) + np.arccos(x / 9) * np.arctanh(x / 9), [(2, 3)]),
    "operators": (lambda x: 1 - x + 2 * x / 3 + 3 / x - -x + +x, [(POSITIVE, 2, 3)]),
    "real": (lambda x: x * x.copy() * np.copy(x), [(2, 3)]),
    "where": (lambda x, y: np.where(np.arange(4) % 2 == 0, x * y, y), [(3, 4), (4,)]),
    "full_like": (lambda x: np.full_like(x, x[0, 0]), [(3, 4)]),
    "zeros_like": (lambda x: np.zeros_like(x) + np.ones_like(x) * x, [(3, 4)]),
    # Reductions.
    "mean of size-1 axis": (lambda x: np.mean(x * x, axis=1) / x.size, [(3, 1)]),
    "empty axis": (lambda x: np.sum(x * x, axis=0) + np.concatenate([x, x + 1]).sum(0), [(0, 3)]),
    "average": (lambda x, w: np.average(x, axis=1, weights=w) + np.average(x), [(2, 3), (POSITIVE, 3)]),
    "average, full weights": (lambda x, w: np.average(x, weights=w), [(2, 3), (POSITIVE, 2, 3)]),
    "ufunc methods": (
        lambda x: np.add.reduce(x) * np.multiply.reduce(x) + np.add.accumulate(x) + np.multiply.accumulate(x),
        [(2, 3)],
    ),
    "cumulative, flat": (lambda x: np.cumsum(x) * np.cumprod(x), [(2, 3)]),
    # Shapes.
    "reshape": (lambda x: x.reshape(3, -1) * np.reshape(x, (3, 4)) + x.reshape((3, 4)), [(2, 6)]),
    "reshape, columns first": (lambda x: np.reshape(x, (3, 4), order="F"), [(2, 6)]),
    "ravel": (lambda x: x.ravel() * x.flatten() * np.ravel(x), [(2, 6)]),
    "transpose": (
        lambda x: x.T * np.transpose(x, (2, 1, 0)) + x.transpose() + x.transpose(2, 1, 0) + x.transpose((-1, 1, 0)),
        [(2, 3, 4)],
    ),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 2) * x.swapaxes(2, 0), [(2, 3, 4)]),
    "moveaxis": (
        lambda x: np.moveaxis(np.moveaxis(x, 0, -1), 0, 1) * np.rollaxis(x, 2).swapaxes(1, 2),
        [(2, 3, 4)],
    ),
    "matrix_transpose": (lambda x: np.matrix_transpose(x), [(2, 3, 4)]),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)) * np.expand_dims(x, -1)[:, None, :, 0], [(2, 3)]),
    "squeeze": (lambda x: np.squeeze(x) * x.squeeze(1), [(2, 1, 3)]),
    "atleast": (lambda x: np.atleast_1d(x) + np.atleast_2d(x) + np.atleast_3d(x), [(3,)]),
    "atleast, several": (lambda x, y: np.atleast_2d(x, y)[0] * np.atleast_2d(x, y)[1], [(3,), (2, 3)]),
    "broadcast_to": (lambda x: np.broadcast_to(x, (4, 2, 3)), [(2, 1)]),
    "broadcast_arrays": (lambda x, y: np.prod(np.stack(np.broadcast_arrays(x, y)), axis=0), [(2, 1), (3,)]),
    "flip": (lambda x: np.flip(x) + np.flip(x, 0) * np.flipud(x) + np.fliplr(x), [(2, 3)]),
    "rot90, axes": (lambda x: np.rot90(x, 1, (2, 0)) ** 2, [(2, 3, 4)]),
    "roll": (lambda x: np.roll(x, 1) + np.roll(x, 2, axis=1) * x, [(2, 3)]),
    "repeat": (lambda x: np.repeat(x, 3, axis=1) * np.repeat(x, [1, 3, 5], axis=1), [(2, 3)]),
    "tile": (lambda x: np.tile(x, (2, 2))[:2] + np.tile(x, (2, 1, 2)), [(2, 3)]),
    "resize, delete": (lambda x: np.resize(x, (3, 4)).sum() * np.delete(x, 1, axis=1), [(2, 3)]),
    "append": (lambda x, y: np.append(x, y) * np.concatenate([x, y], axis=None), [(2, 3), (2, 1)]),
    "concatenate": (
        lambda x, y: np.concatenate([x, y, x], axis=1) * np.concatenate((y, x, x), -1),
        [(2, 3), (2, 1)],
    ),
    "stack": (lambda x, y: np.stack([x, y], 1) * np.stack([y, x], -2), [(2, 3), (2, 3)]),
    "hstack, vstack": (lambda x, y: np.hstack([x, y]) * np.vstack([x, y]).reshape(2, 6), [(2, 3), (2, 3)]),
    "dstack": (lambda x, y: np.dstack([x, y]), [(2, 3), (2, 3)]),
    "column_stack": (lambda x, y: np.column_stack([x, y, x]) * np.hstack([x, y])[:3, None], [(3,), (3,)]),
    "split": (lambda x: np.split(x, 3, axis=1)[1] * np.split(x, [1, 4], axis=1)[2], [(2, 6)]),
    "array_split": (lambda x: np.array_split(x, 4, 1)[0] * np.array_split(x, 4, 1)[1], [(2, 6)]),
    "hsplit, vsplit": (lambda x: np.hsplit(x, 2)[0] * np.vsplit(x, 2)[1][:, 3:], [(2, 6)]),
    "pad": (lambda x: np.pad(x, 1) * np.pad(x, (1, 1), constant_values=3.0), [(3, 2)]),
    "pad, modes": (
        lambda x: np.pad(x, ((1, 2), (0, 1)), mode="edge") * np.pad(x, ((1, 2), (0, 1)), "reflect"),
        [(3, 2)],
    ),
    "diff": (lambda x: np.diff(x)[..., :2] * np.diff(x, n=2), [(2, 3, 4)]),
    # Elements.
    "take": (lambda x: np.take(x, [0, 0, 2], axis=1) * x.take([1], axis=1), [(2, 3)]),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.array([[0], [2]]), 1), [(2, 3)]),
    "compress, extract": (
        lambda x: np.compress([True, False, True], x, 1)[0] * np.extract(np.eye(2, 3), x),
        [(2, 3)],
    ),
    "diagonal": (lambda x: np.diagonal(x, 1) * np.trace(x) + x.diagonal()[:2] * np.diag(x)[0], [(3, 3)]),
    "diag": (lambda x: np.diag(x) + np.diag(x[:-1], 1) + np.diag(x[:-1], -1), [(3,)]),
    "tril, triu": (lambda x: np.tril(x) + np.triu(x, 1) * x, [(3, 4)]),
    "iteration": (lambda x: sum(row * row for row in x), [(3, 2)]),
    "unpacking": (lambda x: (lambda a, b: a * b)(*x), [(2, 3)]),
    # Products.
    "dot, matrices": (lambda x, y: np.dot(x, y) + x @ y * x.dot(y), [(2, 3), (3, 4)]),
    "dot, row": (lambda x, y: np.dot(x, y) * (x @ y), [(3,), (3, 4)]),
    "dot, column": (lambda x, y: np.dot(x, y) * (x @ y), [(2, 3), (3,)]),
    "dot, vectors": (lambda x, y: np.dot(x, y) * (x @ y) + np.inner(x, y), [(3,), (3,)]),
    "dot, stack": (lambda x, y: np.dot(x, y) * (x @ y), [(2, 5, 3), (3, 4)]),
    "dot with stack": (lambda x, y: np.dot(x, y), [(2, 3), (5, 3, 4)]),
    "dot, scalars": (lambda x: np.dot(x, 2.0) + np.dot(x, x[0, 0]), [(2, 3)]),
    "matmul, stacks": (lambda x, y: x @ y, [(5, 2, 3), (5, 3, 4)]),
    "matmul, broadcast": (lambda x, y: x @ y, [(5, 1, 2, 3), (6, 3, 4)]),
    "matmul, matrix with stack": (lambda x, y: x @ y, [(2, 3), (5, 3, 4)]),
    "matmul, row with stack": (lambda x, y: x @ y, [(3,), (5, 3, 4)]),
    "matmul, stack with column": (lambda x, y: x @ y, [(5, 2, 3), (3,)]),
    "tensordot": (
        lambda x, y: np.tensordot(x, y, 2) * np.tensordot(x, y, ([2, 1], [1, 0])),
        [(2, 3, 4), (3, 4, 5)],
    ),
    "tensordot, one axis": (lambda x, y: np.tensordot(x, y, axes=(-1, 0)), [(2, 3, 4), (4, 5)]),
    "tensordot, no axis": (lambda x, y: np.tensordot(x, y, 0), [(2,), (3,)]),
    "outer": (lambda x, y: np.outer(x, y), [(2, 3), (2, 2)]),
    "inner": (lambda x, y: np.inner(x, y) * np.inner(x[0, 0], 2.0), [(2, 3), (4, 3)]),
    "kron": (lambda x, y: np.kron(x, y), [(2, 3), (3, 2)]),
}

ANALYTIC |= {
    f.__name__: (f, [(2, 3)])
    for f in (
        np.exp, np.exp2, np.expm1, np.sin, np.cos, np.tan, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh,
        np.square, np.negative, np.positive, np.cumsum, np.cumprod,
    )
} | {
    f.__name__: (f, [(POSITIVE, 2, 3)])
    for f in (np.sqrt, np.log, np.log2, np.log10, np.log1p, np.reciprocal)
} | {
    f.__name__: (with_numbers(f), [(2, 1, 3), (4, 1)])
    for f in (np.add, np.subtract, np.multiply, np.divide)
} | {
    f"{f.__name__} over {axis}": (kept_and_not(f, axis), [(2, 3, 4)])
    for f in (np.sum, np.mean, np.prod)
    for axis in (None, 0, -1, (0, 2))
}  # fmt: skip

ANALYTIC |= {
    f"einsum {terms}": (lambda *xs, terms=terms: np.einsum(terms, *xs), shapes)
    for terms, shapes in {
        "ij,jk->ik": [(2, 3), (3, 4)], "ij->ji": [(2, 3)], "ii->i": [(3, 3)], "ii": [(3, 3)],
        "ij,ij": [(2, 3), (2, 3)], "bij,bjk->bik": [(5, 2, 3), (5, 3, 4)], "ij,jk": [(2, 3), (3, 4)],
        "...ij,...jk->...ik": [(5, 2, 3), (3, 4)], "i,j->ij": [(2,), (3,)], "ijk->j": [(2, 3, 4)],
        "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)], "bhqd,bhkd->bhqk": [(2, 3, 4, 5), (2, 3, 6, 5)],
        "...i->...": [(2, 3, 4)], "i,i,i->i": [(3,), (3,), (3,)], "iij,j->i": [(3, 3, 4), (4,)],
        "ab,cd->": [(2, 3), (3, 2)], "i...,i...->...": [(2, 3), (2, 3)], "...ij->...ji": [(2, 3, 4)],
    }.items()
} | {
    f"index {index}".replace("\n", ""): (lambda x, index=index: x[index] ** 2, [(4, 3)])
    for index in (
        0, -1, slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(2, 2), (slice(3, 0, -2),),
        (1, 2), (0, slice(None)), (None, slice(1, 2), None), (..., 0), [0, 2, 2], ([0, 2], [1, 1]),
        (slice(None), [1, 0, 1]), ([[0, 1], [2, 2]],), ([[0], [1]], [[0, 2]]), [True, False, True, True],
        np.eye(4, 3) > 0,
    )
}  # fmt: skip

PIECEWISE = {
    "clip": (lambda x: np.clip(x, -0.5, 0.7) + x.clip(None, 0.1) + np.clip(x, 0.0, None), [(3, 4)]),
    "where of itself": (lambda x: np.where(x > 0, x * x, -x), [(3, 4)]),
    "nan_to_num": (lambda x: np.nan_to_num(x * x), [(3, 4)]),
    "round": (lambda x: np.round(x, 1) * x + x.round(1) * np.round(x * 5), [(3, 4)]),
    "divmod": (lambda x: divmod(x, 2)[1] * x + x % 0.3 + x // 2 * x, [(3, 4)]),
    "abs": (lambda x: abs(x) * np.abs(x) + np.absolute(x) * np.fabs(x) * x, [(3, 4)]),
    "cbrt": (lambda x: np.cbrt(x), [(POSITIVE, 3, 4)]),
    "degrees": (lambda x: np.deg2rad(x) * np.rad2deg(x), [(3, 4)]),
    "var, ddof": (lambda x: np.var(x, axis=0, ddof=1) + x.std(0, ddof=1), [(5, 3)]),
    "vdot": (lambda x, y: np.vdot(x, y), [(2, 3), (2, 3)]),
    "norm": (
        lambda x: np.linalg.norm(x) * np.linalg.norm(x, axis=1) + np.linalg.norm(x, 1, axis=1),
        [(3, 4)],
    ),
    "norm, largest": (lambda x: np.linalg.norm(x, np.inf) * np.linalg.norm(x, 2), [(4,)]),
    "sort": (lambda x: np.sort(x, axis=0) * np.sort(x)[::-1], [(4, 3)]),
    "sort, flat": (lambda x: np.sort(x, axis=None) ** 2, [(4, 3)]),
    "maximum.reduce": (lambda x: np.maximum.reduce(x) * np.minimum.reduce(x), [(4, 3)]),
    "softmax": (
        lambda x: np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(),
        [(3, 4)],
    ),
    "nonzero": (lambda x: x[np.nonzero(x > 0)] ** 2, [(3, 4)]),
}

PIECEWISE |= {
    f.__name__: (lambda x, f=f: f(x) * x, [(2, 3)])
    for f in (np.sign, np.floor, np.ceil, np.rint, np.trunc)
} | {
    f.__name__: (with_numbers(f), [(2, 1, 3), (4, 1)])
    for f in (
        np.maximum, np.minimum, np.logaddexp, np.logaddexp2, np.hypot, np.arctan2, np.fmod,
        np.remainder, np.copysign,
    )
} | {
    f"{f.__name__} over {axis}": (kept_and_not(f, axis), [(2, 3, 4)])
    for f in (np.max, np.min, np.var, np.std, np.ptp, np.median)
    for axis in (None, 0, -1, (0, 2))
}  # fmt: skip

CASES = ANALYTIC | PIECEWISE
