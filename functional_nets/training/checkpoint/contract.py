"""What must be the same for a resumed training to be the uninterrupted one, bit for bit."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

import functional_nets
from functional_nets.training.parallel import describe

Contract = Mapping[str, Any]

FLAGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
)  # fmt: skip


UNSAID = {"processes": 1}
"""What a contract means that says nothing of it, as those before there was a choice."""


def environment(mesh: Mesh | None = None) -> dict[str, Any]:
    """Returns what the bits depend on beside the program's own options: versions, hardware, flags.

    Args:
        mesh: The devices of the training; None for one.
    """
    return {
        "functional_nets": functional_nets.__version__,
        "jax": jax.__version__,
        "jaxlib": jax.lib.__version__,
        "optax": optax.__version__,
        "backend": jax.default_backend(),
        "processor": _processor(),
        "threads": threads(),
        "devices": 1 if mesh is None else mesh.size,
        "mesh": describe(mesh),
        "processes": jax.process_count(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        **{name: jax.config.values.get(name) for name in FLAGS},
    }


def threads() -> int | None:
    """Returns how many threads share a product on CPU, on which the order of its sums may depend; else None."""
    if jax.default_backend() != "cpu":
        return None
    if (asked := os.environ.get("PJRT_NPROC", "")).isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def data_contract(examples: Sequence[Any], key: jax.Array) -> dict[str, Any]:
    """Returns what the steps are drawn from: the examples' number and hash, and the key."""
    return {
        "examples": len(examples[0]),
        "data_sha256": tree_sha256(tuple(examples)),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


def differences(was: Contract, now: Contract) -> list[tuple[str, Any, Any]]:
    """Returns what differs between two contracts: name, value then, value now."""
    names = dict.fromkeys((*now, *was))
    pairs = [(name, was.get(name, UNSAID.get(name)), now.get(name, UNSAID.get(name))) for name in names]
    return [(name, then, present) for name, then, present in pairs if then != present]


def tree_sha256(tree: Any) -> str:
    """Returns a hash over the paths, types, shapes and bytes of all leaves."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _processor() -> str:
    """Returns the model of what computes: another one may sum in another order."""
    if jax.default_backend() != "cpu":
        return jax.devices()[0].device_kind
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
