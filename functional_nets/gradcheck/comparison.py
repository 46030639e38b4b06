"""Two gradients set side by side, leaf by leaf."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from functional_nets.gradcheck.report import Leaf


def leaf_paths(tree: Any) -> list[str]:
    """Returns a name for each leaf, such as `dense1/w`."""
    return [
        jax.tree_util.keystr(path, simple=True, separator="/") or "params"
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def given_leaves(manual: Any, params: Any) -> list[Any]:
    """Returns the leaves of a gradient in the order of the parameters' leaves, as NumPy arrays.

    Raises:
        ValueError: When the trees differ, or a leaf holds no numbers or a NaN.
    """
    expected = leaf_paths(params)
    found = dict(zip(leaf_paths(manual), jax.tree.leaves(manual), strict=True))
    missing = [path for path in expected if path not in found]
    extra = [path for path in found if path not in expected]
    if missing or extra:
        what = f"no {missing[0]!r}" if missing else f"{extra[0]!r}, which is none of them"
        raise ValueError(
            f"Expected a gradient with the parameters' leaves {', '.join(expected)}, found {what}: "
            "return a tree of the same structure."
        )
    leaves = []
    for path, leaf in zip(expected, jax.tree.leaves(params), strict=True):
        array = _to_numpy(found[path], path, np.iscomplexobj(leaf))
        numbers = array if array.dtype.kind == "c" else np.asarray(array, np.float64)
        bad = np.argwhere(~np.isfinite(numbers))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise ValueError(
                f"Expected finite numbers in the gradient, found {numbers[index]} in {path!r} "
                f"first at {list(index)} ({len(bad)} in all)."
            )
        leaves.append(array)
    return leaves


def _to_numpy(leaf: Any, path: str, may_be_complex: bool) -> Any:
    if hasattr(leaf, "detach"):  # A PyTorch tensor, without importing PyTorch.
        leaf = leaf.detach().cpu().resolve_conj()
    if getattr(leaf, "dtype", None) == jax.dtypes.float0:  # What JAX calls the gradient of an integer.
        return np.zeros(np.shape(leaf))
    try:
        array = np.asarray(leaf)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected an array of numbers at {path!r}, found {type(leaf).__name__}.") from error
    kinds = "fiubVc" if may_be_complex else "fiubV"
    if array.dtype.kind not in kinds or (array.dtype.kind == "V" and not hasattr(leaf, "dtype")):
        raise ValueError(f"Expected an array of numbers at {path!r}, found {array.dtype}: give floats.")
    return array


def compare(
    paths: Sequence[str], given: Sequence[Any], reference: Sequence[Any], tolerances: Sequence[float]
) -> tuple[Leaf, ...]:
    """Returns the comparison of two gradients, leaf by leaf."""
    leaves = []
    for path, array, right, tolerance in zip(paths, given, reference, tolerances, strict=True):
        shape = np.shape(right)
        scale = float(np.max(np.abs(right), initial=0.0))
        power = tolerance / scale if scale else 0.0
        if np.shape(array) != shape:
            leaves.append(Leaf(path, shape, float("inf"), (), False, None, None, power))
            continue
        array = np.asarray(array, np.complex128 if right.dtype.kind == "c" else np.float64)
        error = np.abs(array - right)
        largest = float(np.max(error, initial=0.0))
        index = tuple(int(i) for i in np.unravel_index(np.argmax(error), shape)) if error.size else ()
        size = max(scale, float(np.max(np.abs(array), initial=0.0)))
        leaves.append(
            Leaf(
                path, shape, largest / size if size else 0.0, index, largest <= tolerance,
                array[index].item() if error.size else 0.0, right[index].item() if error.size else 0.0, power,
            )
        )  # fmt: skip
    return tuple(leaves)


def largest_error(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Returns the largest relative difference between two gradients."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        scale = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
        if scale:
            worst = max(worst, float(np.max(np.abs(x - y), initial=0.0)) / scale)
    return worst
