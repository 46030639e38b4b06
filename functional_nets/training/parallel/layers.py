"""Which layers are split over the mesh's `model` axis: a rule per layer name."""

import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from functional_nets.training.parallel.mesh import MODEL, DevicesError

Rules = Sequence[tuple[str, PartitionSpec]]
"""Regular expressions for the ends of parameters' paths, such as `dense1/w`, each with the axes that are split; the
first that is found holds, and where none is, an array is whole on each device."""

COLUMNS, ROWS, UNITS = PartitionSpec(None, MODEL), PartitionSpec(MODEL, None), PartitionSpec(MODEL)

LAYER_RULES: Rules = (
    (r"(dense1|hidden)/w$", COLUMNS),
    (r"(dense1|hidden)/b$", UNITS),
    (r"(dense2|output)/w$", ROWS),
)
"""The first dense layer makes each device's own share of the units, and the second takes it as it lies: only the
second's sums go over the link (Shoeybi et al. 2019, "Megatron-LM", section 3). What follows is narrow, and whole."""


def state_shardings(state: Any, mesh: Mesh, rules: Rules = LAYER_RULES) -> Any:
    """Returns where each array of a training's state lies: the optimizer's memory of a parameter beside it.

    Raises:
        DevicesError: When a layer's axis cannot be divided evenly.
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    placed = [
        _placed(jax.tree_util.keystr(path, simple=True, separator="/"), leaf, mesh, rules) for path, leaf in leaves
    ]
    return jax.tree.unflatten(jax.tree.structure(state), placed)


def _placed(path: str, leaf: Any, mesh: Mesh, rules: Rules) -> NamedSharding:
    spec = next((spec for pattern, spec in rules if re.search(rf"(^|/){pattern}", path)), PartitionSpec())
    for length, axis in zip(leaf.shape, spec, strict=False):
        if axis is not None and length % mesh.shape[axis]:
            raise DevicesError(
                f"Expected {axis}={mesh.shape[axis]} to divide the {length} units of {path}, "
                f"found {length % mesh.shape[axis]} left over: choose a divisor."
            )
    return NamedSharding(mesh, spec if len(spec) <= len(leaf.shape) else PartitionSpec())
