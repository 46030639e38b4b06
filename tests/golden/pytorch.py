"""Prints, as JSON, what PyTorch computes from inputs that the tests can rebuild without PyTorch.

    pip install torch numpy
    python tests/golden/pytorch.py > tests/golden/pytorch.json

Inputs come from NumPy's RandomState, whose stream is frozen. The file was written by torch 2.13.0 on CPU.
"""

import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SEED = 5


def losses() -> dict:
    random = np.random.RandomState(SEED)
    logits = torch.tensor(random.normal(0, 3, (6, 4)), requires_grad=True)
    labels = torch.tensor(random.randint(0, 4, 6))
    cross_entropy = functional.cross_entropy(logits, labels, reduction="none")
    cross_entropy.mean().backward()
    probabilities, truths = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.3, 0.8]), torch.tensor([0.0, 1, 0, 1, 1, 0])
    predictions = torch.tensor(random.normal(0, 1, (3, 2)))
    return {
        "softmax_cross_entropy": cross_entropy.tolist(),
        "softmax_cross_entropy_gradient": logits.grad.tolist(),
        "binary_cross_entropy": functional.binary_cross_entropy(probabilities, truths, reduction="none").tolist(),
        "sigmoid_binary_cross_entropy": functional.binary_cross_entropy_with_logits(
            logits[:, 0], (labels % 2).double(), reduction="none"
        ).tolist(),
        "mean_squared_error": functional.mse_loss(predictions, torch.ones(3, 2)).item(),
    }


def lenet() -> dict:
    """The logits and the sums of the absolute gradients, leaf by leaf, of notebook `003`'s network."""
    random = np.random.RandomState(SEED)
    model = nn.Sequential(
        nn.ZeroPad2d(2), nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            bound = 1 / np.sqrt(np.prod(parameter.shape[1:])) if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.tensor(random.uniform(-bound, bound, tuple(parameter.shape))))
    images = torch.tensor(random.randint(0, 256, (2, 1, 28, 28)) / 255)
    logits = model(images)
    functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    return {
        "logits": logits.tolist(),
        "gradient_sums": [parameter.grad.abs().sum().item() for parameter in model.parameters()],
    }


def tutorial() -> dict:
    """The names of notebook `004`'s network and its logits, from weights that NumPy draws in the names' order."""

    class NeuralNetwork(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Flatten()
            self.linear_relu_stack = nn.Sequential(
                nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
            )

        def forward(self, x):
            return self.linear_relu_stack(self.flatten(x))

    random, model = np.random.RandomState(SEED), NeuralNetwork()
    drawn = {
        name: random.uniform(-0.05, 0.05, tuple(value.shape)).astype(np.float32)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict({name: torch.tensor(value) for name, value in drawn.items()})
    images = torch.tensor(random.randint(0, 256, (3, 1, 28, 28)) / 255, dtype=torch.float32)
    return {
        "shapes": {name: list(value.shape) for name, value in drawn.items()},
        "logits": model(images).tolist(),
    }


def optimizers() -> dict:
    """Three steps down f(w) = Σ c w² / 2 from w = (1, -2, 3), with c = (1, 2, 0.5), at a rate of 0.1."""
    made = {
        "sgd": lambda w: torch.optim.SGD([w], lr=0.1),
        "momentum": lambda w: torch.optim.SGD([w], lr=0.1, momentum=0.9),
        "adam": lambda w: torch.optim.Adam([w], lr=0.1),
    }
    paths = {}
    for name, make in made.items():
        w = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
        optimizer, paths[name] = make(w), []
        for _ in range(3):
            optimizer.zero_grad()
            (torch.tensor([1.0, 2.0, 0.5]) * w * w / 2).sum().backward()
            optimizer.step()
            paths[name].append(w.tolist())
    return paths


if __name__ == "__main__":
    print(
        json.dumps({"losses": losses(), "lenet": lenet(), "tutorial": tutorial(), "optimizers": optimizers()}, indent=1)
    )
