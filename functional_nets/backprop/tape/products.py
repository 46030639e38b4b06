"""NumPy's matrix products: all are sums of products over axes of two arrays, `dot_general`."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import FUNCTIONS
from functional_nets.backprop.tape.variable import primitive

Axes = Sequence[int]


def sum_of_products(
    a: Any,
    b: Any,
    summed: tuple[Axes, Axes],
    batch: tuple[Axes, Axes] = ((), ()),
    compute: Callable[..., Any] | None = None,
) -> Any:
    """Multiply along `batch` axes, sum over `summed` ones. Batch axes come first, then `a`'s, `b`'s."""
    for shared in (summed, batch):
        of_a, of_b = ([np.shape(x)[i] for i in axes] for x, axes in zip((a, b), shared, strict=True))
        if of_a != of_b:
            raise ValueError(f"shared axes have lengths {of_a} on the left and {of_b} on the right")
    params = {
        "dimension_numbers": tuple(tuple(map(tuple, pair)) for pair in (summed, batch)),
        "precision": None,
        "preferred_element_type": None,
    }
    return primitive("dot_general", a, b, compute=compute, **params)


def dot(a: Any, b: Any) -> Any:
    """The last axis of `a` with the last but one of `b`, or its only one."""
    if not np.ndim(a) or not np.ndim(b):
        return a * b
    return sum_of_products(a, b, ((np.ndim(a) - 1,), (max(0, np.ndim(b) - 2),)), compute=np.dot)


def matmul(a: Any, b: Any) -> Any:
    """Stacks of matrices, multiplied pair by pair; a vector is a row on the left, a column on the right."""
    if not np.ndim(a) or not np.ndim(b):
        raise ValueError("matmul has no meaning for scalars")
    if np.ndim(b) <= 2:
        return sum_of_products(a, b, ((np.ndim(a) - 1,), (max(0, np.ndim(b) - 2),)), compute=np.matmul)
    if np.ndim(a) == 1:
        return np.matmul(np.reshape(a, (1, -1)), b)[..., 0, :]
    lead = np.broadcast_shapes(np.shape(a)[:-2], np.shape(b)[:-2])
    n = len(lead)
    a, b = (x if x.shape[:-2] == lead else np.broadcast_to(x, lead + x.shape[-2:]) for x in (a, b))
    return sum_of_products(a, b, ((n + 1,), (n,)), (range(n), range(n)), np.matmul)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum over the axes named, or over the last `axes` of `a` with the first of `b`."""
    if np.ndim(axes) == 0 and not isinstance(axes, list | tuple):
        axes = range(np.ndim(a) - axes, np.ndim(a)), range(axes)
    of_a, of_b = ([each] if np.ndim(each) == 0 else list(each) for each in axes)
    return sum_of_products(a, b, ([i % np.ndim(a) for i in of_a], [i % np.ndim(b) for i in of_b]))


def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Any:
    """Einstein's summation, from left to right: two operands at a time."""
    if not isinstance(subscripts, str):
        raise ValueError("subscripts are lists; write them as a string")
    terms, wanted = parse(subscripts, operands)
    names, total = diagonal(terms[0], operands[0])
    for i, operand in enumerate(operands[1:], 1):
        other, factor = diagonal(terms[i], operand)
        needed = set(itertools.chain(wanted, *terms[i + 1 :]))
        names, total = add_up(names, total, needed | set(other))
        other, factor = add_up(other, factor, needed | set(names))
        shared = [c for c in names if c in other]
        batch = [c for c in shared if c in needed]
        summed = [c for c in shared if c not in needed]
        pairs = [([names.index(c) for c in group], [other.index(c) for c in group]) for group in (summed, batch)]
        total = sum_of_products(total, factor, pairs[0], pairs[1])
        names = "".join([*batch, *(c for c in names if c not in shared), *(c for c in other if c not in shared)])
    names, total = add_up(names, total, set(wanted))
    return np.transpose(total, [names.index(c) for c in wanted])


def parse(subscripts: str, operands: tuple[Any, ...]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; an ellipsis becomes letters that nobody uses."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"{len(terms)} terms in {subscripts!r} for {len(operands)} operands")
    free = [chr(c) for c in range(ord("α"), ord("α") + 26)]
    hidden = [
        max(0, np.ndim(x) - len(t.replace("...", ""))) if "..." in t else 0
        for t, x in zip(terms, operands, strict=True)
    ]
    dots = free[26 - max(hidden, default=0) :]
    terms = [t.replace("...", "".join(dots[len(dots) - n :])) for t, n in zip(terms, hidden, strict=True)]
    for term, x in zip(terms, operands, strict=True):
        if len(term) != np.ndim(x):
            raise ValueError(f"{len(term)} subscripts in {subscripts!r} for an operand of {np.ndim(x)} axes")
    letters = "".join(terms)
    once = "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    wanted = right.replace("...", "".join(dots)) if arrow else "".join(dots) + once
    return terms, wanted


def diagonal(names: str, x: Any) -> tuple[str, Any]:
    """An operand in which no letter stands twice: of two axes with one name only the diagonal counts."""
    for c in names:
        while names.count(c) > 1:
            first, second = names.index(c), names.rindex(c)
            x = np.diagonal(x, 0, first, second)
            names = "".join(n for i, n in enumerate(names) if i not in (first, second)) + c
    return names, x


def add_up(names: str, x: Any, needed: set[str]) -> tuple[str, Any]:
    """Sum over the axes that nobody else names."""
    axes = tuple(i for i, c in enumerate(names) if c not in needed)
    return "".join(c for c in names if c in needed), np.sum(x, axes) if axes else x


def outer(a: Any, b: Any) -> Any:
    """Each element of `a` times each of `b`, flattened."""
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def inner(a: Any, b: Any) -> Any:
    """The last axis of `a` with the last of `b`."""
    if not np.ndim(a) or not np.ndim(b):
        return a * b
    return sum_of_products(a, b, ((np.ndim(a) - 1,), (np.ndim(b) - 1,)), compute=np.inner)


def kron(a: Any, b: Any) -> Any:
    """Each element of `a` times all of `b`, as blocks."""
    n = max(np.ndim(a), np.ndim(b))
    of_a, of_b = ((1,) * (n - np.ndim(x)) + np.shape(x) for x in (a, b))
    blocks = np.reshape(a, [k for m in of_a for k in (m, 1)]) * np.reshape(b, [k for m in of_b for k in (1, m)])
    return np.reshape(blocks, [math.prod(pair) for pair in zip(of_a, of_b, strict=True)])


# fmt: off
FUNCTIONS |= {
    np.dot:       dot,
    np.matmul:    matmul,
    np.tensordot: tensordot,
    np.einsum:    einsum,
    np.outer:     outer,
    np.inner:     inner,
    np.vdot:      lambda a, b: np.dot(np.ravel(a), np.ravel(b)),
    np.kron:      kron,
}
# fmt: on
