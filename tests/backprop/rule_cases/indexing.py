"""Cases of reading and writing at computed places."""

import numpy as np
from jax import lax

from tests.backprop.rule_cases.case import Case, integers, normal

A, C = normal(5, 4), normal(3, 4, 5)
ROWS = np.array([[4], [0], [4], [2]])
BEYOND = np.array([[4], [-1], [5], [2]])
PAIRS = np.array([[[0, 1], [4, 3]], [[0, 1], [2, 2]], [[5, 0], [1, -1]]])
MODES = ["clip", "fill", "promise_in_bounds"]
TIED = integers(0, 3, 5, 4).astype(float)


def gather(x, indices, sizes, mode="promise_in_bounds", label="", fill=None, **dims):
    numbers = lax.GatherDimensionNumbers(**dims)
    return Case(
        "gather",
        x,
        indices,
        label=f"{label or tuple(dims.values())} {mode} {fill}",
        function=lambda x, i: lax.gather(x, i, numbers, sizes, mode=mode, fill_value=fill),
        smooth=mode != "fill" or fill is not None,
    )


ROW = {"offset_dims": (1,), "collapsed_slice_dims": (0,), "start_index_map": (0,)}
ELEMENT = {"offset_dims": (), "collapsed_slice_dims": (0, 1), "start_index_map": (0, 1)}
BLOCK = {"offset_dims": (0, 2), "collapsed_slice_dims": (), "start_index_map": (1, 0)}
BATCH = {
    "offset_dims": (),
    "collapsed_slice_dims": (1,),
    "start_index_map": (1,),
    "operand_batching_dims": (0,),
    "start_indices_batching_dims": (1,),
}


BATCH_COLUMNS = {
    "offset_dims": (),
    "collapsed_slice_dims": (0,),
    "start_index_map": (0,),
    "operand_batching_dims": (1,),
    "start_indices_batching_dims": (0,),
}


def scatter(name, function, x, indices, updates, mode=None, label="", unique=False, options=None, **dims):
    numbers = lax.ScatterDimensionNumbers(**dims)
    return Case(
        name, x, indices, updates, label=f"{label} {tuple(dims.values())} {mode}", smooth="tie" not in label,
        function=lambda x, i, u: function(x, i, u, numbers, mode=mode, unique_indices=unique), **options or {},
    )  # fmt: skip


ROW_S = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,)}
ELEMENT_S = {"update_window_dims": (), "inserted_window_dims": (0, 1), "scatter_dims_to_operand_dims": (0, 1)}
BLOCK_S = {"update_window_dims": (0, 2), "inserted_window_dims": (), "scatter_dims_to_operand_dims": (1, 0)}
BATCH_S = {
    "update_window_dims": (),
    "inserted_window_dims": (1,),
    "scatter_dims_to_operand_dims": (1,),
    "operand_batching_dims": (0,),
    "scatter_indices_batching_dims": (1,),
}
UNIQUE = np.array([[4], [0], [2]])


def scatters(name, function):
    # JAX 0.10 divides by zero in the gradient of the extremes where an index is beyond.
    unknown = {"unknown": (0, 2)} if name in ("scatter-min", "scatter-max") else {}
    planes = {**ROW_S, "update_window_dims": (2,)}
    return [
        scatter(name, function, A, ROWS, normal(4, 4), **ROW_S),
        scatter(name, function, A, BEYOND, normal(4, 4), label="beyond", **ROW_S),
        scatter(name, function, A, BEYOND, normal(4, 4), "clip", "beyond", options=unknown, **ROW_S),
        scatter(name, function, A, PAIRS, normal(3, 2), label="beyond", **ELEMENT_S),
        scatter(name, function, A, PAIRS[0], normal(3, 2, 2), **BLOCK_S),
        scatter(name, function, C[:, :, 0], np.full((3, 1, 1), 2), normal(3, 1, 4), label="thrice", **planes),
    ]


def uniquely(name, function):
    columns = np.array([[[0], [1], [2]], [[1], [3], [0]]])
    beyond = np.array([[4], [9], [-1]])
    return [
        scatter(name, function, A, UNIQUE, normal(3, 4), unique=True, **ROW_S),
        scatter(name, function, A, beyond, normal(3, 4), label="beyond", unique=True, **ROW_S),
        scatter(name, function, A, beyond[1:], normal(2, 4), mode="clip", label="beyond", unique=True, **ROW_S),
        scatter(name, function, C[:, :, 0], columns, normal(2, 3), unique=True, **BATCH_S),
    ]


def starts(*values):
    return tuple(np.array(v) for v in values)


CASES = [
    *(
        Case(
            "dynamic_slice",
            A,
            *starts(*at),
            label=f"{at}",
            function=lambda x, *s: lax.dynamic_slice(x, s, (2, 3)),
        )
        for at in ((0, 0), (3, 1), (4, 4), (-2, 1))
    ),
    Case(
        "dynamic_slice",
        A,
        *starts(1, 1),
        label="empty",
        function=lambda x, *s: lax.dynamic_slice(x, s, (0, 3)),
    ),
    *(
        Case(
            "dynamic_update_slice",
            A,
            normal(2, 3),
            *starts(*at),
            label=f"{at}",
            function=lambda x, u, *s: lax.dynamic_update_slice(x, u, s),
        )
        for at in ((0, 0), (3, 1), (4, 4), (-2, 1))
    ),
    *(
        gather(A, indices, (1, 4), mode, **ROW)
        for indices, modes in ((ROWS, MODES), (BEYOND, MODES[:2]))
        for mode in modes
    ),
    gather(A, BEYOND, (1, 4), "fill", fill=0.0, **ROW),
    gather(A, BEYOND, (1, 2), "fill", fill=2.5, **ROW),
    gather(A, PAIRS, (1, 1), "clip", **ELEMENT),
    gather(A, PAIRS, (1, 1), "fill", fill=0.0, **ELEMENT),
    gather(A, PAIRS[0], (3, 2), "clip", **BLOCK),
    gather(A, PAIRS[0], (3, 2), "fill", fill=1.0, **BLOCK),
    gather(A, ROWS[0], (1, 3), label="scalar", offset_dims=(0,), collapsed_slice_dims=(0,), start_index_map=(0,)),
    gather(C[:, :, 0], integers(0, 4, 2, 3, 1), (1, 1), **BATCH),
    gather(C[:, :, 0], integers(0, 3, 4, 2, 1), (1, 1), **BATCH_COLUMNS),
    gather(integers(0, 9, 5, 4).astype(np.int32), BEYOND, (1, 4), "fill", label="integers", fill=np.int64(7), **ROW),
    gather(integers(0, 9, 5, 4), BEYOND, (1, 4), "fill", label="integers", **ROW),
    *scatters("scatter-add", lax.scatter_add),
    *uniquely("scatter-add", lax.scatter_add),
    *scatters("scatter-sub", lax.scatter_sub),
    *uniquely("scatter-sub", lax.scatter_sub),
    *scatters("scatter", lax.scatter),
    *uniquely("scatter", lax.scatter),
    *uniquely("scatter-mul", lax.scatter_mul),
    scatter("scatter-mul", lax.scatter_mul, A, ROWS, normal(4, 4), label="twice", options={"refused": True}, **ROW_S),
    *scatters("scatter-min", lax.scatter_min),
    *scatters("scatter-max", lax.scatter_max),
    *(
        scatter(name, f, TIED, indices, updates, label=label, **ROW_S)
        for name, f in (("scatter-min", lax.scatter_min), ("scatter-max", lax.scatter_max))
        for label, indices, updates in (
            ("tie", ROWS, integers(0, 3, 4, 4).astype(float)),
            ("tie beyond", np.array([[2], [9]]), TIED[[0, 4]]),
        )
    ),
    *(
        Case("sort", x, label=f"{label} {d}", function=lambda x, d=d: lax.sort(x, d), smooth=label == "")
        for x, label in ((A, ""), (TIED, "tie"), (normal(0, 3), ""), (normal(1, 3), ""))
        for d in (0, 1)
    ),
    Case("sort", np.array([1.0, np.nan, -1.0, 0.0, -0.0]), label="nan", function=lax.sort, smooth=False),
    Case(
        "sort",
        TIED,
        A,
        2 * A,
        label="one key",
        function=lambda *xs: lax.sort(xs, 0, num_keys=1),
        smooth=False,
    ),
    Case(
        "sort",
        TIED,
        A,
        2 * A,
        label="two keys",
        function=lambda *xs: lax.sort(xs, 1, num_keys=2),
        smooth=False,
    ),
    Case(
        "sort",
        integers(0, 3, 5, 4),
        A,
        label="integer key",
        function=lambda *xs: lax.sort(xs, 0, num_keys=1),
        smooth=False,
    ),
    *(
        Case(
            "top_k",
            x,
            label=f"{label} {axis}",
            function=lambda x, axis=axis: lax.top_k(x, 2, axis=axis),
            smooth=not label,
        )
        for x, label in ((A, ""), (TIED, "tie"))
        for axis in (0, 1)
    ),
    Case("take", A, params={"index": (np.array([4, 0, 4]), slice(None, None, 2))}),
    Case("take", A, params={"index": (slice(1, 4), 2)}, label="slices"),
    Case("take", A, params={"index": (A > 0,)}, label="mask"),
    Case(
        "scatter_add",
        normal(3, 2),
        params={"index": (np.array([4, 0, 4]), slice(None, None, 2)), "shape": (5, 4)},
    ),
    Case("scatter_add", normal(3), params={"index": (slice(1, 4), 2), "shape": (5, 4)}, label="slices"),
    Case("windows", C, params={"size": (2, 3), "strides": (1, 2), "dilation": (2, 1)}),
    Case("windows", C, params={"size": (9, 3), "strides": (1, 2), "dilation": (2, 1)}, label="no room"),
    Case("fold", normal(3, 2, 2, 2, 3), params={"shape": (3, 4, 5), "strides": (1, 2), "dilation": (2, 1)}),
    Case("contract", A, C, params={"labels": ("ij", "kjl", "lik")}),
    Case("contract", A, C, label="batch", params={"labels": ("ij", "kji", "jik")}),
]
