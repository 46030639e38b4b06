"""How far the backward walk and `jax.grad` are apart, both in float64; and where a line of a test is."""

from pathlib import Path

import jax
import numpy as np

from functional_nets.gradcheck.program import active_nodes, gradient, walk
from functional_nets.gradcheck.trace import to_float64, trace

BOUND = 1e-12
QUICKLY = {"xla_backend_optimization_level": 0}  # Compiling takes most of these tests' time.


def walked(program):
    return gradient(program, walk(program, active_nodes(program, program.leaves)))


def by_jax(loss_fn, params, *args):
    with jax.enable_x64(True):
        inputs = to_float64((params, *args))
        compiled = jax.jit(jax.grad(loss_fn), compiler_options=QUICKLY)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(compiled(*inputs))]


def apart(loss_fn, params, *args):
    """The largest difference of two gradients' elements, each array's relative to its largest element."""
    program = trace(loss_fn, params, *args)
    worst = 0.0
    for ours, theirs in zip(walked(program), by_jax(loss_fn, params, *args), strict=True):
        assert np.shape(ours) == theirs.shape
        assert np.all(np.isfinite(theirs))
        size = max(np.max(np.abs(ours), initial=0), np.max(np.abs(theirs), initial=0))
        worst = max(worst, float(np.max(np.abs(ours - theirs), initial=0) / (size or 1)))
    return worst


def assert_agree(loss_fn, params, *args, bound=BOUND):
    assert apart(loss_fn, params, *args) <= bound


def line_of(file, text):
    """The number of the first line of a file that holds a text."""
    return next(i for i, line in enumerate(Path(file).read_text().splitlines(), 1) if text in line)
