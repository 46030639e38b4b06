"""Where the arrays of a training lie: the train step is the same on any number of devices, its data tell how.

A batch that does not divide evenly is shared all the same: XLA's partitioner pads the last shares and masks the
padding wherever it would reach a sum, so that the program still computes what it says. That holds for any loss, the
mean over examples or not, since nothing is known of it here; and nothing is added to a batch that divides.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from functional_nets.training.parallel.mesh import DATA


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding that puts an array, whole, on each device."""
    return NamedSharding(mesh, PartitionSpec())


def place(tree: Any, shardings: Any, *, may_alias: bool = True) -> Any:
    """Returns the tree's arrays as the shardings tell, one for all or a tree of them; each process has them whole.

    Args:
        tree: Arrays, the same in each process.
        shardings: None for the default device.
        may_alias: Whether an array that is there already may be returned as it is. Arrays that a compiled
            program will donate must not alias the caller's.
    """
    if jax.process_count() == 1 or shardings is None:
        if shardings is not None and not may_alias:
            tree = jax.tree.map(jnp.copy, tree)  # The first device's copy would be the caller's, whatever is said here.
        return jax.device_put(tree, shardings, may_alias=may_alias)
    if isinstance(shardings, Sharding):
        return jax.tree.map(lambda leaf: _place_own(leaf, shardings), tree)
    return jax.tree.map(_place_own, tree, shardings)


def _place_own(leaf: Any, sharding: Sharding) -> jax.Array:
    """Places what this process's devices hold of an array. `device_put` would send all of it around to compare it."""
    if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(
            _place_own(jax.random.key_data(leaf), sharding), impl=str(jax.random.key_impl(leaf))
        )
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def share_batch(batch: Any, mesh: Mesh | None) -> Any:
    """Returns the batch with its examples shared out along the mesh's `data` axis."""
    if mesh is None or (jax.config.values["jax_enable_x64"] and len(batch[0]) % mesh.shape[DATA]):
        return batch  # With 64-bit indices, padding a scatter ends the process in XLA (jaxlib 0.10.1).
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(DATA)))


def at_hand(tree: Any, mesh: Mesh | None) -> Any:
    """Returns the tree's arrays, whole, on this process's first device; all processes must ask together."""
    if mesh is None:
        return tree
    if not all(leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        tree = _replicate(mesh)(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


@functools.cache
def _replicate(mesh: Mesh) -> Callable[[Any], Any]:
    return jax.jit(lambda tree: tree, out_shardings=replicated(mesh))
