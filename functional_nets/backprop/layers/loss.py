"""The layer that ends a classifier."""

from typing import Any

import numpy as np

from functional_nets.backprop.layers.layer import Recorded
from functional_nets.backprop.tape import log_softmax
from functional_nets.backprop.tape.dispatch import plain


class SoftmaxWithLoss(Recorded):
    """The cross-entropy of the softmax of each row, averaged over the rows, in nats.

    The softmax runs over the last axis: normalised over the whole batch instead, as in notebook 002, the rows
    do not sum to 1 and training diverges. The logarithm is that of the softmax itself, not of a softmax with
    something added, so the gradient is that of the loss; it is scaled by what comes from above.

    Attributes:
        loss: The last loss.
        y: The softmax, each row a distribution.
        t: The targets, each row a distribution.
    """

    def forward(self, x: Any, t: Any) -> Any:  # type: ignore[override]
        """Return the loss.

        Args:
            x: Scores [batch, classes], or [classes] for one example.
            t: Distributions like `x`, such as one-hot rows, or the number of the right class of each row.
        """
        self.t = distributions(np.asarray(plain(t)), np.shape(x))
        self.loss = super().forward(x)
        return self.loss

    def formula(self, x: Any) -> Any:  # type: ignore[override]
        """-Σ t log y, divided by the number of rows."""
        log_y = log_softmax(x)
        self.y = np.exp(log_y.data)
        return -np.sum(self.t * log_y) / max(1, x.size // x.shape[-1])

    def backward(self, dout: Any = 1.0) -> Any:
        """Return the gradient of `x`: dout (y - t) / batch for rows `t` that sum to 1."""
        return super().backward(dout)


def distributions(t: Any, shape: tuple[int, ...]) -> Any:
    """The targets as rows of the shape of the scores."""
    if t.shape == shape:
        return t
    if t.shape == shape[:-1] and t.dtype.kind in "iu":
        if t.size and not 0 <= t.min() <= t.max() < shape[-1]:
            raise ValueError(
                f"SoftmaxWithLoss.forward: expected classes 0 to {shape[-1] - 1}, found {t.min()} to {t.max()}."
            )
        return np.eye(shape[-1])[t]
    raise ValueError(
        f"SoftmaxWithLoss.forward: expected targets of shape {shape}, or integers of shape {shape[:-1]}, "
        f"found {t.dtype} of shape {t.shape}."
    )
