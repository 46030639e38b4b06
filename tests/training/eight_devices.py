"""A process of its own with eight devices, on any machine: trains the networks it is told, and prints what it saw."""

import json
import re
import sys

import jax
import numpy as np
import optax

from functional_nets import models, nn, training
from functional_nets.training.chunks import Chunks
from functional_nets.training.parallel import place, state_shardings
from functional_nets.training.step import init_state, make_train_step

STEPS = 200
WAYS = {
    "1": None,
    "2": "data=2",
    "4": "data=4",
    "8": "data=8",
    "4x2": "data=4,model=2",
}
COLLECTIVE = re.compile(r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)\(")

KEY = jax.random.key(0)
random = np.random.RandomState(0)
IMAGES = random.randint(0, 255, (53, 28, 28, 1)).astype(np.uint8), np.arange(53, dtype=np.int32) % 10
TABLE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.float32)


def not_a_mean(params, x, labels):
    """A loss that mixes the examples, as batch normalisation does: it is no mean over them."""
    hidden = x.reshape(len(x), -1) @ params["dense1"]["w"] + params["dense1"]["b"]
    normal = (hidden - hidden.mean(0)) / (hidden.std(0) + 1e-3)
    return jax.nn.logsumexp(nn.softmax_cross_entropy(normal, labels))


def weights(model):
    """Parameters as the model starts, uniform within 1/√fan-in, drawn by NumPy: nothing is compiled for them."""
    random = np.random.RandomState(1)
    shapes = jax.eval_shape(model.init, KEY)
    return jax.tree.map(
        lambda leaf: (
            (random.uniform(-1, 1, leaf.shape) / max(1, np.prod(leaf.shape[:-1])) ** 0.5).astype(np.float32)
            * (leaf.ndim > 1)
        ),  # Biases begin at 0.
        shapes,
    )


def network(name):
    """Loss, first parameters, examples, optimizer, and a batch size that hardly any number of devices divides."""
    if name == "xor":
        model = models.xor_net()
        return nn.binary_cross_entropy_loss(model.apply), weights(model), TABLE, optax.sgd(0.5), 3
    if name == "not_a_mean":
        return not_a_mean, weights(models.mlp((784, 10))), IMAGES, optax.sgd(0.1), 10
    model, optimizer, batch_size = {
        "mnist": (models.mlp((784, 50, 10)), optax.sgd(0.1), 10),
        # Not Adam: it makes whole steps of a gradient that one rounding has and another has not (a ReLU's at 0).
        "fashion_mnist": (models.mlp((784, 512, 512, 10)), optax.sgd(0.1), 20),
        "lenet": (models.lenet(), optax.sgd(0.1), 10),
    }[name]
    return nn.classification_loss(model.apply), weights(model), IMAGES, optimizer, batch_size


def losses(name, ways):
    """The losses of each way of sharing, and the last parameters' shapes: they come back whole."""
    loss_fn, params, examples, optimizer, batch_size = network(name)
    found = {}
    for way in ways:
        fitted = training.fit(
            loss_fn, params, examples, optimizer=optimizer, batch_size=batch_size, steps=STEPS,
            key=jax.random.key(1), devices=training.make_mesh(axes=WAYS[way]) if WAYS[way] else 1,
        )  # fmt: skip
        assert jax.tree.map(np.shape, fitted.params) == jax.tree.map(np.shape, params)
        assert jax.tree.map(np.shape, fitted.state) == jax.tree.map(np.shape, init_state(params, optimizer))
        found[way] = fitted.losses.tolist()
    return found


def collectives(name, batch_size, way):
    """What the devices send each other, as the compiled program has it: its type and the kind of exchange."""
    loss_fn, params, examples, optimizer, _ = network(name)
    mesh = training.make_mesh(axes=WAYS[way])
    examples = tuple(array[: len(array) // batch_size * batch_size] for array in examples)
    chunks = Chunks(
        make_train_step(loss_fn, optimizer), examples, jax.random.key(1),
        batch_size=batch_size, epochs=1, shuffle=True, stop_on_bad_loss=True, mesh=mesh,
    )  # fmt: skip
    state = init_state(params, optimizer)
    chunks.run(place(state, state_shardings(state, mesh)), 1)
    return [match.groups() for match in COLLECTIVE.finditer(chunks.program_text())]


def keeps_the_state():
    """Whether a state can still be read after training has gone on from it, with arrays that it reuses."""
    _, params, _, optimizer, _ = network("xor")
    state = init_state(params, optimizer)
    place(state, state_shardings(state, training.make_mesh(8)), may_alias=False).params["hidden"]["w"].delete()
    return not state.params["hidden"]["w"].is_deleted() and bool(np.isfinite(state.params["hidden"]["w"]).all())


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(
        json.dumps(
            {
                "losses": {name: losses(name, ways) for name, ways in asked["losses"].items()},
                "collectives": [collectives(*each) for each in asked["collectives"]],
                "kept": keeps_the_state(),
            }
        )
    )
