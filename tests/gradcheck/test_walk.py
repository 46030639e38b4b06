"""The backward walk and `jax.grad` agree on every loss and model of this package, and on every loss of optax."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nets import models, nn
from tests.gradcheck.agreement import assert_agree

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(4, 5))
LABELS = np.array([0, 3, 4, 3])
ONE_HOT = np.eye(5)[LABELS]
DISTRIBUTIONS = RANDOM.dirichlet(np.ones(5), size=4)
LOG_DISTRIBUTIONS = np.log(RANDOM.dirichlet(np.ones(5), size=4))
SIGNS = RANDOM.choice([-1.0, 1.0], size=(4, 5))
TARGETS = RANDOM.normal(size=(4, 5))
MASK = RANDOM.random((4, 5)) > 0.3
MASK[:, 0] = True

losses = optax.losses
OF_OPTAX = {
    "binary_dice_loss": (LOGITS, (SIGNS > 0) * 1.0),
    "convex_kl_divergence": (LOG_DISTRIBUTIONS, DISTRIBUTIONS),
    "cosine_distance": (LOGITS, TARGETS),
    "cosine_similarity": (LOGITS, TARGETS),
    "ctc_loss": (
        RANDOM.normal(size=(2, 6, 4)), np.zeros((2, 6)), np.array([[1, 2], [3, 3]]), np.array([[0.0, 0], [0, 1]]),
    ),
    "dice_loss": (LOGITS, ONE_HOT),
    "generalized_kl_divergence": (LOG_DISTRIBUTIONS, DISTRIBUTIONS),
    "hinge_loss": (LOGITS, SIGNS),
    "huber_loss": (2 * LOGITS, TARGETS),
    "kl_divergence": (LOG_DISTRIBUTIONS, DISTRIBUTIONS),
    "kl_divergence_with_log_targets": (LOG_DISTRIBUTIONS, np.log(DISTRIBUTIONS)),
    "l2_loss": (LOGITS, TARGETS),
    "log_cosh": (LOGITS, TARGETS),
    "multiclass_generalized_dice_loss": (LOGITS[None], ONE_HOT[None]),
    "multiclass_hinge_loss": (LOGITS, LABELS),
    "multiclass_perceptron_loss": (LOGITS, LABELS),
    "multiclass_sparsemax_loss": (LOGITS, LABELS),
    "ntxent": (RANDOM.normal(size=(6, 3)), np.array([0, 0, 1, 1, 2, 2])),
    "perceptron_loss": (LOGITS, SIGNS),
    "poly_loss_cross_entropy": (LOGITS, DISTRIBUTIONS),
    "ranking_softmax_loss": (LOGITS, TARGETS),
    "safe_softmax_cross_entropy": (LOGITS, ONE_HOT),
    "sigmoid_binary_cross_entropy": (LOGITS, (SIGNS > 0) * 1.0),
    "sigmoid_focal_loss": (LOGITS, (SIGNS > 0) * 1.0),
    "smooth_labels": (DISTRIBUTIONS, 0.1),
    "softmax_cross_entropy": (LOGITS, DISTRIBUTIONS),
    "softmax_cross_entropy_with_integer_labels": (LOGITS, LABELS),
    "sparsemax_loss": (LOGITS[:, 0], (SIGNS[:, 0] > 0) * 1),
    "squared_error": (LOGITS, TARGETS),
    "triplet_margin_loss": (LOGITS, TARGETS, SIGNS),
}  # fmt: skip
OF_ANOTHER_FORM = {"ctc_loss_with_forward_probs", "make_fenchel_young_loss"}


def weighted(function):
    """The scalar Σ weights · function: a plain sum would hide a permutation, and be flat for a softmax."""

    def loss(x, *args):
        out = function(x, *args)
        return jnp.sum(jnp.cos(jnp.arange(out.size, dtype=out.dtype)).reshape(out.shape) * out)

    return loss


@pytest.mark.filterwarnings("ignore:The function convex_kl_divergence is deprecated")
@pytest.mark.parametrize("name", OF_OPTAX)
def test_every_loss_of_optax(name):
    assert_agree(weighted(getattr(losses, name)), *OF_OPTAX[name])


def test_no_loss_of_optax_is_left_out():
    functions = {name for name, _ in inspect.getmembers(losses, callable) if not name.startswith("_")}
    assert functions == set(OF_OPTAX) | OF_ANOTHER_FORM


@pytest.mark.parametrize("where", [None, MASK], ids=["everywhere", "masked"])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_softmax_cross_entropy_along_any_axis(axis, where):
    assert_agree(lambda x: losses.softmax_cross_entropy(x, DISTRIBUTIONS, axis, where).sum(), LOGITS)


def test_losses_of_optax_of_another_form():
    assert_agree(lambda x, *rest: losses.ctc_loss_with_forward_probs(x, *rest)[0].sum(), *OF_OPTAX["ctc_loss"])
    fenchel_young = losses.make_fenchel_young_loss(max_fun=jax.nn.logsumexp)
    assert_agree(weighted(fenchel_young), LOGITS, DISTRIBUTIONS)


OF_THIS_PACKAGE = {
    "softmax_cross_entropy": (LOGITS, LABELS),
    "sigmoid_binary_cross_entropy": (LOGITS, DISTRIBUTIONS),
    "binary_cross_entropy": (RANDOM.uniform(0.01, 0.99, (4, 5)), DISTRIBUTIONS),
    "squared_error": (LOGITS, TARGETS),
}


@pytest.mark.parametrize("name", OF_THIS_PACKAGE)
def test_every_loss_of_this_package(name):
    assert_agree(weighted(getattr(nn, name)), *OF_THIS_PACKAGE[name])


MODELS = {
    "mlp": (models.mlp((784, 20, 10)), (3, 28, 28, 1)),
    "deep mlp": (models.mlp((7, 6, 5, 4, 10), activation=jnp.tanh), (3, 7)),
    "lenet": (models.lenet(), (2, 28, 28, 1)),
    "xor_net": (models.xor_net(), (4, 2)),
}


def random_params(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: RANDOM.normal(size=leaf.shape) / np.sqrt(leaf.shape[0]), shapes)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        *((name, "classification_loss") for name in MODELS),
        ("mlp", "mean_squared_error_loss"), ("deep mlp", "mean_squared_error_loss"),
        ("xor_net", "binary_cross_entropy_loss"), ("xor_net", "mean_squared_error_loss"),
    ],
)  # fmt: skip
def test_every_model_and_its_loss(name, loss):
    model, shape = MODELS[name]
    params = random_params(model)
    x = RANDOM.random(shape)
    outputs = 1 if name == "xor_net" else 10
    targets = {
        "classification_loss": RANDOM.integers(0, outputs, shape[0]),
        "binary_cross_entropy_loss": RANDOM.integers(0, 2, shape[0]),
        "mean_squared_error_loss": RANDOM.normal(size=(shape[0], outputs)),
    }
    assert_agree(getattr(nn, loss)(model.apply), params, x, targets[loss])


def test_images_of_whole_numbers():
    model = models.mlp((16, 10))
    images = RANDOM.integers(0, 256, (2, 4, 4, 1)).astype(np.uint8)
    loss_fn = nn.classification_loss(model.apply)
    assert_agree(loss_fn, random_params(model), images, np.array([3, 9]))


TIES = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, -2.0], [2.0, -1.0, 2.0, 0.5]])
AT_A_TIE = {
    "largest": lambda x: jnp.max(x, 1),
    "smallest": lambda x: jnp.min(x, 0),
    "largest of all": lambda x: 3 * jnp.max(x),
    "maximum": lambda x: jnp.maximum(x, x[::-1]),
    "minimum": lambda x: jnp.minimum(x, 0.0),
    "relu": jax.nn.relu,
    "relu6": lambda x: jax.nn.relu6(3 * x),
    "leaky relu": jax.nn.leaky_relu,
    "absolute": jnp.abs,
    "clip": lambda x: jnp.clip(x, 0.0, 1.0),
    "cummax": lambda x: jax.lax.cummax(x, 1),
    "sorted": lambda x: jnp.sort(x, 1),
    "median": lambda x: jnp.median(x, 1),
    "product with zeros": lambda x: jnp.prod(x, 1),
    "pooled": lambda x: nn.max_pool2d(x[None, :2, :, None]),
    "window": lambda x: jax.lax.reduce_window(x, -np.inf, jax.lax.max, (2, 2), (1, 1), "SAME"),
    "top k": lambda x: jax.lax.top_k(x, 2)[0],
    "norm": lambda x: jnp.linalg.norm(x + 1, axis=1),
    "scattered maximum": lambda x: x[0].at[np.array([0, 1, 1])].max(x[1, :3]),
}


@pytest.mark.parametrize("name", AT_A_TIE)
def test_ties_and_kinks_are_decided_as_jax_does(name):
    assert_agree(weighted(AT_A_TIE[name]), TIES)
