"""Several devices: each takes its share of every batch, and all hold the parameters."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class DevicesError(ValueError):
    """More devices were asked for than there are."""


def batch_sharding(count: int) -> NamedSharding | None:
    """Returns how a batch is shared among the first `count` devices; None for one device.

    Raises:
        DevicesError: When there are fewer.
    """
    devices = jax.devices()
    if not 1 <= count <= len(devices):
        names = ", ".join(map(str, devices))
        raise DevicesError(
            f"Expected a number of devices from 1 to {len(devices)}, found {count}: this machine has {names}."
        )
    if count == 1:
        return None
    return NamedSharding(Mesh(devices[:count], ("batch",)), PartitionSpec("batch"))


def replicate(tree: Any, sharding: NamedSharding | None, *, may_alias: bool = True) -> Any:
    """Returns the tree's arrays, whole, on each device of the sharding.

    Args:
        tree: Arrays.
        sharding: From `batch_sharding`; None for one device.
        may_alias: Whether an array that is there already may be returned as it is. Arrays that a compiled
            program will donate must not alias the caller's.
    """
    place = None if sharding is None else NamedSharding(sharding.mesh, PartitionSpec())
    return jax.device_put(tree, place, may_alias=may_alias)


def share_batch(batch: Any, sharding: NamedSharding | None) -> Any:
    """Returns the batch with its examples shared out, or as it is when they do not divide evenly."""
    if sharding is None or jax.tree.leaves(batch)[0].shape[0] % sharding.mesh.size:
        return batch
    return jax.lax.with_sharding_constraint(batch, sharding)
