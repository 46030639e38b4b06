"""Five witnesses agree on every gradient of the package, and a wrong one is seen."""

import inspect

import numpy as np
import pytest

from experiments import gradient_check
from experiments._gradient_cases import NAMES, cases
from experiments.gradient_check import BOUND, DIFFERENCES, compare, run, table
from functional_nets import models, nn
from functional_nets.backprop.rules import RULES, rule

LARGE = "fashion_mnist"


@pytest.mark.parametrize("name", [name for name in NAMES if name != LARGE])
def test_all_witnesses_agree(name):
    case = cases(3, 1)[name]()
    comparison = compare(case)
    assert comparison.ok
    assert comparison.verdict == "agrees"
    assert set(comparison.seconds) >= {"tape", "walk", "jax.grad", DIFFERENCES}
    assert ("layers" in comparison.seconds) is (name != "binary_cross_entropy")
    assert all(error <= BOUND for pair, error in comparison.errors.items() if DIFFERENCES not in pair)
    assert all(error <= 1e-6 for error in comparison.errors.values())
    assert len(comparison.errors) == len(comparison.seconds) * (len(comparison.seconds) - 1) // 2


@pytest.mark.long
def test_all_witnesses_agree_on_the_largest_network():
    comparison = compare(cases(64, 0)[LARGE]())
    assert comparison.ok
    assert comparison.parameters == 669_706


def test_every_model_and_loss_of_the_package_has_a_case():
    titles = " ".join(cases(1, 0)[name]().title for name in NAMES)
    for function in (
        nn.softmax_cross_entropy,
        nn.sigmoid_binary_cross_entropy,
        nn.binary_cross_entropy,
        nn.squared_error,
    ):
        assert f"nn.{function.__name__}" in titles
    makers = {name for name in models.__all__ if name.islower()} - {"from_flax", "from_state_dict", "to_state_dict"}
    source = inspect.getsource(cases)
    assert all(name in source for name in makers)


@pytest.mark.parametrize(
    ("primitive", "wrong"),
    [
        ("relu", lambda g, y, x: (g,)),
        ("dot_general", lambda g, y, a, b: (2 * (g @ b.T), a.T @ g)),
    ],
)
def test_a_wrong_rule_is_seen(primitive, wrong, monkeypatch, command):
    monkeypatch.setitem(RULES, primitive, RULES[primitive])  # Restored afterwards.
    rule(primitive, wrong)
    outcome = command("gradient_check", "--only", "regression", "--batch-size", "3")
    assert outcome.status == 1
    assert "THEY DISAGREE" in outcome.out
    assert outcome.out.splitlines()[-1].endswith("WRONG: regression")


def test_the_command_prints_a_triangle(command):
    outcome = command("gradient_check", "--only", "xor", "--batch-size", "4", "--seed", "3")
    assert outcome.status == 0
    title, header, *rows = outcome.out.splitlines()
    assert title.startswith("XOR 2-2-1, binary cross-entropy (9 numbers, ")
    assert title.endswith("ok; finite differences: agrees")
    assert header.split() == ["seconds", "layers", "tape", "walk", "jax.grad"]
    assert [len(row.split()) for row in rows[:5]] == [2, 3, 4, 5, 6]
    assert "largest relative error between two gradients" in rows[-1]


def test_a_missing_witness_has_no_column():
    comparison = compare(cases(2, 0)["binary_cross_entropy"]())
    assert "layers" not in table(comparison)


@pytest.mark.parametrize(
    ("options", "found"),
    [(("--batch-size", "0"), "found 0"), (("--seed", "-1"), "found -1"), (("--only", "resnet"), "'resnet'")],
)
def test_bad_options_are_one_line(command, options, found):
    outcome = command("gradient_check", *options)
    assert outcome.status == 2
    assert found in outcome.err
    assert outcome.err.count("\n") == 1


def test_what_is_returned():
    found = run(gradient_check.Config(only="squared_error", batch_size=2))
    assert list(found) == ["squared_error"]
    assert np.isfinite(list(found["squared_error"].seconds.values())).all()
