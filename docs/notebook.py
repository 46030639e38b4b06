# ---
# jupyter:
#   accelerator: GPU
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # functional_nets: networks as pure functions, gradients that can be trusted
#
# Four networks are trained below, from the nine parameters that learn XOR to LeNet. Then a gradient is written by
# hand, checked against `jax.grad` and other witnesses, made wrong on purpose, and **explained**: the check names
# the line and the mistake. All of it takes about a minute on a CPU.
#
# In Colab, choose *Runtime → Run all*. *Runtime → Change runtime type* gives a GPU or a TPU: nothing below changes.

# %%
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys

REPOSITORY = "{repository}"  # OWNER is to be replaced, in pyproject.toml, once there is an address.

if importlib.util.find_spec("functional_nets") is None:
    # Colab's own JAX fits its accelerator: it stays exactly as it is.
    installed = {package.name.lower(): package.version for package in importlib.metadata.distributions()}
    jax_version = installed.get("jax", "none")
    if jax_version.startswith(("0.10.2", *(f"0.{minor}." for minor in range(9)))):
        raise RuntimeError(
            f"Expected JAX 0.9 or newer, but not 0.10.2, found {jax_version}: choose the latest version at Runtime → "
            'Change runtime type, or run %pip install -U "jax!=0.10.2" here, restart the session and run all again.'
        )
    kept = [f"{name}=={version}" for name, version in installed.items() if name.startswith(("jax", "libtpu"))]
    pathlib.Path("kept.txt").write_text("\n".join(name for name in kept if not name.startswith("jaxtyping")))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", "kept.txt", f"git+{REPOSITORY}"]
    subprocess.run(install, check=True)

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import functional_nets as fn

accelerator = jax.devices()[0]
print(f"Python {sys.version.split()[0]}, jax {jax.__version__}")
print(f"computing on {accelerator.device_kind} ({accelerator.platform}), {jax.device_count()} of them")

# %% [markdown]
# ## Four networks
#
# A **model** is two pure functions: `init` makes parameters, a tree of arrays; `apply` turns parameters and a batch
# into logits. A **loss** is a pure function of parameters and a batch. `fit` compiles whole epochs into one program.

# %% tags=["parameters"]
STEPS = {"XOR": 10_001, "MNIST": 1_800, "Fashion-MNIST": 471, "LeNet": 300}  # Batches that each network sees.

# %%
trainings, results = {}, {}


def train(name, model, loss_fn, examples, optimizer, **options):
    """Trains a network from a seed, and keeps how to do it again and what came out."""

    def training():
        params, key = model.init(jax.random.key(1)), jax.random.key(2)
        return fn.training.fit(loss_fn, params, examples, optimizer=optimizer, key=key, **options)

    trainings[name], result = training, training()
    results[name] = result
    count = fn.nn.count_parameters(result.params)
    print(f"{name}: {count:,} parameters, {len(result.losses):,} steps in {result.train_seconds:.2f} s")
    return result.params


# %% [markdown]
# ### XOR
#
# Two inputs, two hidden units, one output: the smallest network that can learn the function that no line can cut.
# The whole table is one batch.

# %%
table = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
answers = np.array([0, 1, 1, 0], np.int32)

xor = fn.models.xor_net()
xor_params = train(
    "XOR",
    xor,
    fn.nn.binary_cross_entropy_loss(xor.apply),
    (table, answers),
    optax.sgd(0.5),
    batch_size=4,
    steps=STEPS["XOR"],
    shuffle=False,
    epochs_per_report=1000,  # An epoch is one step here: one report for a thousand of them.
)
for row, probability in zip(table, jax.nn.sigmoid(xor.apply(xor_params, table))[:, 0], strict=True):
    print(f"{int(row[0])} xor {int(row[1])} is true with probability {probability:.3f}")

# %%
side = np.linspace(-0.25, 1.25, 121, dtype=np.float32)
plane = np.stack(np.meshgrid(side, side), -1)
surface = jax.nn.sigmoid(xor.apply(xor_params, plane.reshape(-1, 2))).reshape(121, 121)

figure, axes = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
levels = axes.contourf(side, side, surface, np.linspace(0, 1, 11), cmap="RdBu_r")
axes.contour(side, side, surface, [0.5], colors="black", linewidths=1)
for label, marker in ((0, "o"), (1, "s")):
    axes.plot(*table[answers == label].T, marker, color="white", markeredgecolor="black", markersize=10, label=label)
axes.set(xlabel="first input", ylabel="second input", title="What the network says of XOR", aspect="equal")
axes.legend(title="label", loc="center")
figure.colorbar(levels, label="probability of true")
plt.show()

# %% [markdown]
# ### MNIST
#
# The book's two-layer network, 784-50-10. All of MNIST is inside the package, and so are 12,000 images of
# Fashion-MNIST; `source="auto"` would fetch the rest.

# %%
mnist = fn.data.load("mnist", source="embedded")
two_layers = fn.models.mlp((784, 50, 10), init=fn.nn.normal(0.01))
mnist_params = train(
    "MNIST, 784-50-10",
    two_layers,
    fn.nn.classification_loss(two_layers.apply),
    mnist.train,
    optax.sgd(0.1),
    batch_size=100,
    steps=STEPS["MNIST"],
)
print(f"test accuracy {fn.training.evaluate(two_layers.apply, mnist_params, mnist.test).accuracy:.2%}")

# %% [markdown]
# ### Fashion-MNIST
#
# PyTorch's first tutorial, 784-512-512-10, with Adam in place of its slow SGD.

# %%
fashion = fn.data.load("fashion_mnist", source="embedded")
mlp = fn.models.mlp((784, 512, 512, 10))
fashion_params = train(
    "Fashion-MNIST, 784-512-512-10",
    mlp,
    fn.nn.classification_loss(mlp.apply),
    fashion.train,
    optax.adam(1e-3),
    batch_size=64,
    steps=STEPS["Fashion-MNIST"],
)
print(f"test accuracy {fn.training.evaluate(mlp.apply, fashion_params, fashion.test).accuracy:.2%}")
print(f"({len(fashion.train.x):,} images for training, {len(fashion.test.x):,} for the test: a part of the data)")

# %% [markdown]
# ### LeNet
#
# Two convolutions and three dense layers, on MNIST again.

# %%
lenet = fn.models.lenet()
lenet_params = train(
    "MNIST, LeNet",
    lenet,
    fn.nn.classification_loss(lenet.apply),
    mnist.train,
    optax.sgd(0.1, momentum=0.9),
    batch_size=100,
    steps=STEPS["LeNet"],
)
print(f"test accuracy {fn.training.evaluate(lenet.apply, lenet_params, mnist.test).accuracy:.2%}")

# %% [markdown]
# ### What they learnt, and what they got wrong

# %%
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
for (name, result), line in zip(results.items(), ("-", "--", "-.", ":"), strict=True):
    losses = result.losses
    width = max(1, len(losses) // 100)  # Steps whose losses are averaged: a batch alone says little.
    smooth = losses[: len(losses) // width * width].reshape(-1, width).mean(axis=1)
    axes.plot(np.linspace(0, 1, len(smooth)), smooth, line, label=name)
axes.set(xlabel="share of the training", ylabel="training loss (nats)", title="Four trainings", ylim=0)
axes.legend()
plt.show()

# %%
probabilities = jax.nn.softmax(jax.jit(lenet.apply)(lenet_params, mnist.test.x[:2000]))
doubt = np.asarray(probabilities[np.arange(2000), mnist.test.y[:2000]])  # How likely it found the right digit.

figure, axes = plt.subplots(1, 8, figsize=(10, 1.9), layout="constrained")
figure.suptitle("The digits that LeNet misreads worst")
for image, number in zip(axes, np.argsort(doubt), strict=False):
    said = int(probabilities[number].argmax())
    image.imshow(mnist.test.x[number, :, :, 0], cmap="gray_r")
    image.set_title(f"a {mnist.test.y[number]}, says {said}\n({probabilities[number, said]:.0%})", fontsize=9)
    image.axis("off")
plt.show()

# %% [markdown]
# ## A gradient by hand
#
# The loss of the two-layer network again, and its gradient as one writes it on paper, in NumPy.


# %%
def loss_fn(params, x, labels):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    scores = hidden @ params["w2"] + params["b2"]
    log_y = jax.nn.log_softmax(scores)
    return -jnp.mean(log_y[jnp.arange(len(labels)), labels])


def by_hand(params, x, labels):
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    scores = hidden @ params["w2"] + params["b2"]
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    d_scores = (y - np.eye(10)[labels]) / len(labels)
    d_hidden = d_scores @ params["w2"].T * (hidden > 0)
    return {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
        "w2": hidden.T @ d_scores,
        "b2": d_scores.sum(axis=0),
    }


random = np.random.default_rng(0)
params = {
    "w1": 0.01 * random.normal(size=(784, 50)),
    "b1": np.zeros(50),
    "w2": 0.01 * random.normal(size=(50, 10)),
    "b2": np.zeros(10),
}
x, labels = mnist.train.x[:3].reshape(3, -1) / 255, mnist.train.y[:3]

print(fn.gradcheck.check(loss_fn, params, x, labels, manual=by_hand))

# %% [markdown]
# Manual and `jax.grad` agree, and both agree with the tables of rules and with finite differences.
#
# ## A planted mistake
#
# Now divide by the sum of the *whole batch* in the softmax, as one does on a late evening. The shapes fit, nothing
# crashes, and the loss even falls for a while. The check finds the line of the forward pass, and says what happened:


# %%
def by_hand_too_late(params, x, labels):
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    scores = hidden @ params["w2"] + params["b2"]
    e = np.exp(scores - scores.max())
    y = e / e.sum()
    d_scores = (y - np.eye(10)[labels]) / len(labels)
    d_hidden = d_scores @ params["w2"].T * (hidden > 0)
    return {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
        "w2": hidden.T @ d_scores,
        "b2": d_scores.sum(axis=0),
    }


wrong = fn.gradcheck.check(loss_fn, params, x, labels, manual=by_hand_too_late)
print(wrong)

# %% [markdown]
# It did not look up a message: it made that mistake on purpose in a backward pass of its own, and got these very
# numbers. In a test, `fn.gradcheck.assert_gradients(…)` takes the same arguments.
#
# ## The gradient graph
#
# Every course draws it by hand: the value above each edge, and below it the gradient, here by hand-written rule, by
# `jax.grad` and by finite difference. Two apples, three oranges and the tax:


# %%
def bill(apple, apples, orange, oranges, tax):
    return (apple * apples + orange * oranges) * tax


fn.report.gradient_graph(bill, 100.0, 2.0, 150.0, 3.0, 1.1)

# %% [markdown]
# And the network above with its wrong gradient: the place of the mistake is marked.

# %%
fn.report.gradient_graph(loss_fn, params, x, labels, manual=by_hand_too_late)

# %% [markdown]
# ## CPU against accelerator
#
# The same four trainings on the CPU beside the accelerator, if there is one. A step of a small network is over
# before an accelerator has warmed up; it shows what it can do where there is much to multiply.

# %%
cpu = jax.devices("cpu")[0]
times = {accelerator.platform: results}
if accelerator != cpu:
    with jax.default_device(cpu):
        times["cpu"] = {name: training() for name, training in trainings.items()}

print(f"{'microseconds a step':30}", *(f"{platform:>10}" for platform in times))
for name in trainings:
    each = [found[name].train_seconds / len(found[name].losses) for found in times.values()]
    print(f"{name:30}", *(f"{1e6 * seconds:10,.0f}" for seconds in each))
if accelerator == cpu:
    print("There is no accelerator here: choose Runtime → Change runtime type, and run all again.")

# %% [markdown]
# ## Your own
#
# Any function of parameters and a batch that returns a scalar can be trained and checked: a network of your own, a
# Flax module by `fn.models.from_flax`, weights of PyTorch by `fn.models.from_state_dict`. The guide is
# [docs/bring_your_own.md]({repository}/blob/main/docs/bring_your_own.md).
