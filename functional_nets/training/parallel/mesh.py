"""The devices of a training as a mesh: along `data` they share each batch, along `model` the wide layers."""

import math
import re

import jax
from jax.sharding import AxisType, Mesh

DATA, MODEL = "data", "model"
AXIS = re.compile(rf"({DATA}|{MODEL})=([1-9][0-9]{{0,5}})")


class DevicesError(ValueError):
    """The devices that were asked for are not there, or do not fit the mesh or the model; the message is one line."""


def make_mesh(devices: int | None = None, axes: str | None = None) -> Mesh | None:
    """Returns a mesh of the first devices, those of all processes counted; None for one device, which needs none.

    Args:
        devices: How many. By default as many as `axes` take, or else one CPU, or all GPUs or TPU cores, or whatever
            several processes have together.
        axes: Such as `data=4,model=2`; an axis that is not named has length 1. By default all devices share batches.

    Raises:
        DevicesError: When there are fewer devices, `axes` cannot be read or do not multiply out to `devices`, or
            devices of some process would be left out.
    """
    lengths = None if axes is None else _lengths(axes)
    count = devices if devices is not None else usual_devices() if lengths is None else math.prod(lengths)
    _check_count(count)
    lengths = lengths or (count, 1)
    if math.prod(lengths) != count:
        raise DevicesError(
            f"Expected a mesh of {count} devices, found {axes}, which is {math.prod(lengths)}: "
            "give axes whose lengths multiply to the number of devices."
        )
    if count == 1:
        return None
    return jax.make_mesh(
        lengths, (DATA, MODEL), axis_types=(AxisType.Auto, AxisType.Auto), devices=jax.devices()[:count]
    )


def usual_devices() -> int:
    """Returns how many devices a training takes that is not told: one CPU; else all there are."""
    return 1 if jax.default_backend() == "cpu" and jax.process_count() == 1 else jax.device_count()


def describe(mesh: Mesh | None) -> str | None:
    """Returns a mesh with split layers as `make_mesh` reads it; None for one that shares batches alone."""
    if mesh is None or mesh.shape[MODEL] == 1:
        return None
    return ",".join(f"{name}={length}" for name, length in mesh.shape.items())


def _lengths(axes: str) -> tuple[int, int]:
    found = [AXIS.fullmatch(part.strip()) for part in axes.split(",")]
    lengths = {match[1]: int(match[2]) for match in found if match}
    if len(lengths) != len(found):
        raise DevicesError(
            f"Expected a mesh such as {DATA}=4,{MODEL}=2, found {axes!r}: name each axis once, with a length from 1."
        )
    return lengths.get(DATA, 1), lengths.get(MODEL, 1)


def _check_count(count: int) -> None:
    devices = jax.devices()
    if not 1 <= count <= len(devices):
        names = ", ".join(map(str, devices))
        simulated = f"; JAX_NUM_CPU_DEVICES={count} in the environment simulates so many"
        raise DevicesError(
            f"Expected a number of devices from 1 to {len(devices)}, found {count}: this machine has {names}"
            f"{simulated if count > 1 and jax.default_backend() == 'cpu' else ''}."
        )
    if jax.process_count() > 1 and count not in (1, len(devices)):  # One device is this process's own.
        raise DevicesError(
            f"Expected the {len(devices)} devices of all {jax.process_count()} processes, found {count}: "
            "leave --devices out, or start fewer processes."
        )
