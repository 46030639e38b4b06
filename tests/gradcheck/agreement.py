"""How far the backward walk and `jax.grad` are apart, both in float64; and where a line of a test is."""

from pathlib import Path

import jax
import numpy as np

from functional_nets.gradcheck.program import active_nodes, gradient, walk
from functional_nets.gradcheck.trace import to_float64, trace

BOUND = 1e-12
ZERO = 1e-14
QUICKLY = {"xla_backend_optimization_level": 0}  # Compiling takes most of these tests' time.


def walked(program):
    return gradient(program, walk(program, active_nodes(program, program.leaves)))


def by_jax(loss_fn, params, *args):
    with jax.enable_x64(True):
        inputs = to_float64((params, *args))
        compiled = jax.jit(jax.grad(loss_fn), compiler_options=QUICKLY)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(compiled(*inputs))]


def apart(loss_fn, params, *args, foreign=False):
    """The largest difference of two gradients' elements, each array's relative to its largest element.

    An array that is 0 but for rounding, such as that of a bias before a normalisation, is compared with the
    whole gradient's largest element.
    """
    program = trace(loss_fn, params, *args)
    assert foreign or not program.notes  # Else a part of the walk would be JAX's own.
    pairs = list(zip(walked(program), by_jax(loss_fn, params, *args), strict=True))
    whole = max(largest(theirs) for _, theirs in pairs)
    worst = 0.0
    for ours, theirs in pairs:
        assert np.shape(ours) == theirs.shape
        assert np.all(np.isfinite(theirs))
        size = max(largest(ours), largest(theirs))
        worst = max(worst, largest(ours - theirs) / ((size if size > ZERO * whole else whole) or 1))
    return worst


def largest(array):
    return float(np.max(np.abs(array), initial=0))


def assert_agree(loss_fn, params, *args, bound=BOUND, foreign=False):
    assert apart(loss_fn, params, *args, foreign=foreign) <= bound


def line_of(file, text):
    """The number of the first line of a file that holds a text."""
    return next(i for i, line in enumerate(Path(file).read_text().splitlines(), 1) if text in line)
