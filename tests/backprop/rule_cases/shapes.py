"""Cases of the primitives that move values."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from tests.backprop.rule_cases.case import Case, integers, normal

A, B, C = normal(3, 4), normal(2, 4), normal(3, 4, 2)
EXTREME = np.array([-1.5, 300.7, 2.0**31 + 0.5, 2.0**63, 2.0**64, -(2.0**63), 1e20, -1e20, np.nan, np.inf, -np.inf])
EMPTY, ONE = normal(0, 3), normal(1, 1)


def padded(*config, label=""):
    x = normal(*(4 + axis for axis in range(len(config))))
    return Case("pad", x, 0.5, label=f"{config}", function=lambda x, fill: lax.pad(x, fill, config))


def sliced(start, limit, strides=None):
    return Case("slice", A, label=f"{start}:{limit}:{strides}", function=lambda x: lax.slice(x, start, limit, strides))


def broadcast(x, shape, dimensions):
    return Case(
        "broadcast_in_dim",
        x,
        label=f"to {shape}",
        function=lambda x: lax.broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=dimensions, sharding=None),
    )


def converted(x, dtype):
    return Case(
        "convert_element_type",
        x,
        label=f"{x.dtype} to {np.dtype(dtype)}",
        smooth=False,
        function=lambda x: lax.convert_element_type_p.bind(
            x, new_dtype=np.dtype(dtype), weak_type=False, sharding=None
        ),
    )


CASES = [
    *(
        Case("reshape", x, label=f"to {to}", function=lambda x, to=to: lax.reshape(x, to))
        for x, to in ((A, (2, 6)), (A, (12,)), (C, (4, 6)), (EMPTY, (3, 0, 2)), (ONE, ()))
    ),
    Case("squeeze", A[None, :, None], function=lambda x: lax.squeeze(x, (0, 2))),
    Case("squeeze", ONE, function=lambda x: lax.squeeze(x, (1,))),
    Case("expand_dims", A, params={"dimensions": (0, 2)}, reference=lambda x: jnp.expand_dims(x, (0, 2))),
    *(
        Case("transpose", x, label=f"{p}", function=lambda x, p=p: lax.transpose(x, p))
        for x, p in ((A, (1, 0)), (C, (2, 0, 1)), (C, (1, 2, 0)), (EMPTY, (1, 0)))
    ),
    *(Case("rev", C, label=f"{d}", function=lambda x, d=d: lax.rev(x, d)) for d in ((0,), (1, 2), ())),
    broadcast(A, (2, 3, 4), (1, 2)),
    broadcast(A[:, :1], (3, 5), (0, 1)),
    broadcast(A[:, 0], (3, 5), (0,)),
    broadcast(A[0, 0], (2, 2), ()),
    broadcast(A[:1], (2, 4, 3), (0, 1)),
    broadcast(ONE, (1, 1, 1), (0, 2)),
    broadcast(A[:, 0], (3, 0), (0,)),
    Case("tile", A, function=lambda x: lax.tile(x, (2, 3))),
    Case("tile", ONE, function=lambda x: lax.tile(x, (1, 2))),
    Case("concatenate", A, B, ONE[:, [0] * 4], function=lambda *xs: lax.concatenate(xs, 0)),
    Case("concatenate", A, A[:, :1], A[:, :0], A, function=lambda *xs: lax.concatenate(xs, 1)),
    Case("split", A, function=lambda x: lax.split(x, (1, 0, 3), 1)),
    Case("split", A, function=lambda x: lax.split(x, (2, 1))),
    Case("unstack", C, params={"axis": 0}, reference=lambda x: tuple(jnp.unstack(x))),
    Case("unstack", C, params={"axis": 2}, reference=lambda x: tuple(jnp.unstack(x, axis=2))),
    Case("stack", A, 2 * A, A * A, label="0", function=lambda *xs: jnp.stack(xs)),
    Case("stack", A, 2 * A, label="1", function=lambda *xs: jnp.stack(xs, 1)),
    padded((1, 2, 0)),
    padded((1, 2, 1), (0, 3, 2)),
    padded((-1, 2, 0), (2, -3, 0)),
    padded((-1, -1, 1), (-2, 1, 2)),
    padded((-3, 5, 1), (4, -9, 0)),
    padded((-9, 12, 1), (0, 0, 0)),
    padded((-8, 12, 1), (12, -8, 1)),
    padded((-2, -2, 0)),
    Case("pad", EMPTY, 0.5, function=lambda x, fill: lax.pad(x, fill, ((1, 2, 3), (0, 0, 0)))),
    sliced((0, 1), (3, 4)),
    sliced((1, 0), (3, 4), (1, 2)),
    sliced((0, 1), (3, 4), (2, 3)),
    sliced((1, 2), (1, 4)),
    Case("iota", label="floats", function=lambda: lax.broadcasted_iota(float, (2, 3), 1)),
    Case("iota", label="integers", function=lambda: lax.iota(np.int32, 4)),
    Case("iota", label="narrower floats", function=lambda: lax.iota(np.float32, 4)),
    Case("copy", A, function=lax.copy_p.bind if hasattr(lax, "copy_p") else jnp.copy),
    *(
        Case(name, A, reference=lambda x: x)
        for name in ("copy_p", "sharding_constraint", "layout_constraint", "reshard")
    ),
    Case("name", A, function=lambda x: checkpoint_name(x, "a")),
    Case("device_put", A, function=lambda x: jax.device_put(x)),
    Case("optimization_barrier", A, B, function=lambda *xs: lax.optimization_barrier(xs)),
    *(
        Case(
            "reduce_precision",
            x,
            label=f"{e} {m}",
            function=lambda x, e=e, m=m: lax.reduce_precision(x, e, m),
            smooth=False,
        )
        for x in (A, 1e5 * A, 1e-6 * A, np.array([np.inf, -np.inf, 0.0, 65520.0]))
        for e, m in ((5, 10), (8, 7), (11, 52))
    ),
    Case("convert_element_type", A, label="to a narrower float", params={"new_dtype": np.dtype(np.float32)}),
    Case("convert_element_type", A + 1j * A[::-1], label="to narrower", params={"new_dtype": np.dtype(np.complex64)}),
    Case(
        "convert_element_type",
        A + 1j * A[::-1],
        label="to a real number",
        params={"new_dtype": np.dtype(np.float64)},
        reference=jnp.real,
    ),
    converted(10 * A, np.int32),
    converted(10 * A, bool),
    *(converted(EXTREME, dtype) for dtype in (np.int32, np.uint8, np.int64, np.uint64, bool)),
    converted(integers(0, 9, 3), np.float64),
    converted(integers(0, 9, 3), np.int8),
    converted(A > 0, np.float64),
    converted(A, np.complex128),
]
