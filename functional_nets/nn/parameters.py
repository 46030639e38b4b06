"""What a tree of parameters holds."""

from typing import Any

import jax
import numpy as np


def count_parameters(params: Any) -> int:
    """Returns the number of scalars in all leaves."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def summary(params: Any) -> str:
    """Returns a table: each leaf's path, shape, type and count, and their total below."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    rows = [
        (
            jax.tree_util.keystr(path, simple=True, separator="/"),
            " × ".join(map(str, np.shape(leaf))) or "scalar",
            str(leaf.dtype),
            f"{leaf.size:,}",
        )
        for path, leaf in leaves
    ]
    rows.append(("total", "", "", f"{count_parameters(params):,}"))
    header = ("parameter", "shape", "type", "count")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(4)]
    name, shape, dtype, count = widths
    return "\n".join(
        f"{row[0]:<{name}}  {row[1]:<{shape}}  {row[2]:<{dtype}}  {row[3]:>{count}}" for row in (header, *rows)
    )
