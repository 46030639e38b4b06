"""Measures what scripts/scaling_model.py asks for, in a process that has eight devices, and prints it as JSON.

JAX_NUM_CPU_DEVICES=8 python scripts/scaling_measure.py EXPERIMENT BATCH_SIZE
"""

import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from functional_nets import nn, training
from functional_nets.training.chunks import Chunks
from functional_nets.training.parallel import place, state_shardings
from functional_nets.training.step import init_state, make_train_step

SIMULATED = (1, 2, 4, 8)
ROUNDS = 8
SECONDS = 0.15
"""About how long a case takes in each round."""
EPOCH = 16  # Batches.

Steps = Callable[[int], Any]
"""Takes so many steps."""


def least(cases: dict[str, Steps]) -> dict[str, tuple[float, float]]:
    """Returns seconds and core-seconds of a step in each case: the least of rounds in which the cases take turns.

    The least, since whatever else runs on the machine only adds; in turns, so that a busy minute is everybody's.
    """
    counts, found = {}, dict.fromkeys(cases, (math.inf, math.inf))
    for name, run in cases.items():
        run(EPOCH)  # Compiles.
        start = time.perf_counter()
        run(EPOCH)
        counts[name] = max(1, round(SECONDS / (time.perf_counter() - start))) * EPOCH
    for name in list(cases) * ROUNDS:
        start, cores = time.perf_counter(), time.process_time()
        cases[name](counts[name])
        taken = ((time.perf_counter() - start) / counts[name], (time.process_time() - cores) / counts[name])
        found[name] = tuple(map(min, found[name], taken))
    return found


def training_steps(experiment: str, batch_size: int, mesh: Mesh | None) -> Steps:
    """Returns what takes training steps on random examples."""
    module = importlib.import_module(f"experiments.{experiment}")
    config = module.Config()
    apply, params = module.model(config).apply, module.model(config).init(jax.random.key(0))
    loss_fn = nn.binary_cross_entropy_loss(apply) if experiment == "xor" else nn.classification_loss(apply)
    optimizer = training.make_optimizer(config.optimizer, config.learning_rate)
    chunks = Chunks(
        make_train_step(loss_fn, optimizer), examples(experiment, EPOCH * batch_size), jax.random.key(1),
        batch_size=batch_size, epochs=1, shuffle=True, stop_on_bad_loss=False, mesh=mesh,
    )  # fmt: skip
    begin = init_state(params, optimizer)
    place_state = partial(place, shardings=mesh and state_shardings(begin, mesh), may_alias=False)

    def run(steps: int) -> None:
        state = place_state(begin)
        for _ in range(0, steps, EPOCH):
            state, _ = chunks.run(state._replace(step=jnp.zeros_like(state.step)), EPOCH)

    return run


def examples(experiment: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels of the experiment's shapes, at random."""
    random = np.random.RandomState(0)
    if experiment == "xor":
        return random.randint(0, 2, (count, 2)).astype(np.float32), random.randint(0, 2, count).astype(np.float32)
    return random.randint(0, 256, (count, 28, 28, 1)).astype(np.uint8), random.randint(0, 10, count).astype(np.int32)


def additions(size: int, mesh: Mesh) -> Steps:
    """Returns what has the mesh's devices add up vectors of `size` float32 numbers."""
    spec = PartitionSpec("data")
    vectors = jax.device_put(np.ones((mesh.size, size), np.float32), NamedSharding(mesh, spec))

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=(spec, PartitionSpec()), out_specs=spec)
    def add(vectors: jax.Array, steps: jax.Array) -> jax.Array:
        def mean(_: Any, x: jax.Array) -> jax.Array:
            return jax.lax.pcast(jax.lax.pmean(x, "data"), "data", to="varying")

        return jax.lax.fori_loop(0, steps, mean, vectors)

    return lambda steps: jax.block_until_ready(add(vectors, steps))


def main(experiment: str, batch_size: int) -> None:
    """Prints the measurements."""
    shares = sorted({max(1, batch_size // devices) for devices in SIMULATED})
    module = importlib.import_module(f"experiments.{experiment}")
    numbers = nn.count_parameters(module.model(module.Config()).init(jax.random.key(0)))
    pair = training.make_mesh(2)
    assert pair is not None
    found = least(
        {f"share {share}": training_steps(experiment, share, None) for share in shares}
        | {f"on {count}": training_steps(experiment, batch_size, training.make_mesh(count)) for count in SIMULATED}
        | {"message": additions(1, pair), "vector": additions(numbers, pair)}
    )
    latency = found["message"][0] / 2  # There and back.
    result = {
        "examples": shares,
        "seconds": [found[f"share {share}"][0] for share in shares],
        "core_seconds": [found[f"share {share}"][1] for share in shares],
        "shared_seconds": [found[f"on {count}"][0] for count in SIMULATED],
        "bytes": 4 * numbers,
        "cores": len(os.sched_getaffinity(0)),
        "latency": latency,
        "bandwidth": 4 * numbers / max(found["vector"][0] - 2 * latency, 1e-9),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
