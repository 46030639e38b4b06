"""A trained network, asked about one image: probabilities, hidden layers, the loss's gradient by pixel."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from experiments._command import OptionError
from experiments._runs import Run, trained_params
from functional_nets.data.catalogue import KNOWN
from functional_nets.nn import classification_loss, scale_pixels


class Seen(NamedTuple):
    """What a network makes of one image.

    Attributes:
        probabilities: Of each class.
        hidden: What each hidden layer gives, by its name: `[units]`, or `[height, width, channels]`.
        label: The class that the loss takes for true.
        loss: Minus the logarithm of that class's probability, in nats.
        gradient: The loss's gradient by pixel: where ink would raise the loss it is positive.
    """

    probabilities: Float[np.ndarray, " classes"]
    hidden: dict[str, np.ndarray]
    label: int
    loss: float
    gradient: Float[np.ndarray, "28 28"]


class Network:
    """The network that a run has trained on images.

    Args:
        run: The run.

    Raises:
        OptionError: For a run that has not ended or has no images.
    """

    def __init__(self, run: Run):
        if not hasattr(run.experiment, "DATASET"):
            raise OptionError(f"Expected a run on images, found one of {run.name} in {run.folder}: name another.")
        self.dataset: str = run.experiment.DATASET
        self.class_names = KNOWN[self.dataset].class_names
        self._params = jax.device_put(trained_params(run))
        model, loss_fn = run.model, classification_loss(run.model.apply)

        @jax.jit
        def look(params: Any, x: jax.Array, label: jax.Array) -> Any:
            x = scale_pixels(x)
            logits = model.apply(params, x)
            chosen = jnp.where(label < 0, jnp.argmax(logits, axis=1), label)
            loss, gradient = jax.value_and_grad(loss_fn, argnums=1)(params, x, chosen)
            hidden = {} if model.hidden is None else model.hidden(params, x)
            return jax.nn.softmax(logits), hidden, chosen, loss, gradient

        self._look = look

    def look(self, image: UInt8[np.ndarray, "28 28"], label: int | None = None) -> Seen:
        """Returns what the network makes of an image, with the loss of `label`, or of the likeliest class."""
        asked = jnp.array([-1 if label is None else label], jnp.int32)
        found = jax.device_get(self._look(self._params, image[None, :, :, None], asked))
        probabilities, hidden, chosen, loss, gradient = found
        inside = {name: values[0] for name, values in hidden.items()}
        return Seen(probabilities[0], inside, int(chosen[0]), float(loss), gradient[0, :, :, 0])
