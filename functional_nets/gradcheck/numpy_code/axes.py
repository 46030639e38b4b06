"""A normalisation whose backward sums over other axes than its forward, at forward's own values."""

from collections.abc import Iterator

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.normalisers import recognised
from functional_nets.gradcheck.numpy_code.forwards import over


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the backward of (x - mean) / deviation with its means taken along other axes."""
    values = evidence.program.values
    for found in recognised(evidence):
        if "variance" not in found.normaliser.name:
            continue
        g, y, x = evidence.cotangents[found.y], values[found.y], values[found.x]
        centred = x - np.mean(x, axis=found.axes, keepdims=True)
        with np.errstate(all="ignore"):
            deviation = np.nanmedian(centred / y, axis=found.axes, keepdims=True)
            right = found.normaliser.pullback(g, y, x, found.axes)
            for axis in range(np.ndim(x)):
                if (axis,) == found.axes:
                    continue
                one, other = (np.mean(part, axis=axis, keepdims=True) for part in (g, g * y))
                text = (
                    f"the gradient's means run over {over((axis,), np.ndim(x))}; "
                    f"forward takes its own over {over(found.axes, np.ndim(x))}"
                )
                wrong = (g - one - y * other) / deviation
                yield Hypothesis("wrong_axis", found.position, text, 0.4, {found.x: wrong - right})
