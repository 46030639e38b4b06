"""The pytest plug-in: light to load, a fixture that asserts, reports in a folder."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PLUGIN = "functional_nets.gradcheck.pytest_plugin"

TESTS = """
import numpy as np
import pytest

class Square:
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dout):
        return self.factor * self.x * dout

class InPlace(Square):
    def backward(self, dout):
        dout *= 2 * self.x
        return dout

X = np.array([[0.3, -0.2, 1.5]])

def test_right(gradcheck):
    assert gradcheck.layer(Square(2), X).ok

@pytest.mark.parametrize("name", ["a/b: c"])
def test_wrong(gradcheck, name):
    gradcheck.layer(Square(-2), X)

def test_in_place(gradcheck):
    gradcheck.layer(InPlace(2), X)

@pytest.mark.gradcheck(allow=("mutated",))
def test_in_place_is_allowed(gradcheck):
    gradcheck.layer(InPlace(2), X)

@pytest.mark.gradcheck(allow=("scale",))
def test_wrong_values_are_never_allowed(gradcheck):
    gradcheck.layer(Square(-2), X)

def test_a_loss_in_jax(gradcheck):
    gradcheck(lambda p: (p**2).sum(), X[0], manual=2 * X[0])

def test_other_failures():
    assert False
"""


def run(folder, *options):
    (folder / "test_them.py").write_text(TESTS)
    installed = any(point.value == PLUGIN for point in importlib.metadata.entry_points(group="pytest11"))
    by_hand = () if installed else ("-p", PLUGIN)
    paths = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--strict-markers", *by_hand, *options, str(folder)]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    return folder, run(folder, "--gradcheck-report=reports")


def test_loading_the_plugin_loads_neither_jax_nor_numpy():
    code = f"import sys, {PLUGIN}; print([name for name in ('jax', 'numpy') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert found.stdout.strip() == "[]"


def test_the_plugin_is_an_entry_point_of_the_package():
    assert f'"{PLUGIN}"' in (CHECKOUT / "pyproject.toml").read_text().partition("entry-points.pytest11")[2]


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("test_right", "PASSED"),
        ("test_wrong[", "FAILED"),
        ("test_in_place", "FAILED"),
        ("test_in_place_is_allowed", "PASSED"),
        ("test_wrong_values_are_never_allowed", "FAILED"),
        ("test_a_loss_in_jax", "PASSED"),
    ],
)
def test_the_fixture_fails_a_test_where_a_gradient_is_wrong(finished, test, outcome):
    _, process = finished
    lines = [line.partition(" - ")[0] for line in process.stdout.splitlines()]
    matching = [line for line in lines if line.startswith(outcome) and line.partition("::")[2].startswith(test)]
    assert matching, process.stdout


def test_each_wrong_gradient_leaves_a_report_as_text_and_as_json(finished):
    folder, _ = finished
    names = sorted(path.name for path in (folder / "reports").iterdir())
    assert len(names) == 6
    assert not any(set(name) & set('/\\:*?"<>| ') for name in names)
    (text,) = (folder / "reports").glob("*test_wrong_a*.txt")
    assert "gradient check: WRONG" in text.read_text(encoding="utf-8")
    report = json.loads(text.with_suffix(".json").read_text(encoding="utf-8"))
    assert report["ok"] is False
    assert report["causes"][0]["mistake"] == "sign"


def test_without_the_option_nothing_is_written(tmp_path):
    run(tmp_path, "-k", "test_wrong")
    assert {path.name for path in tmp_path.iterdir()} <= {"test_them.py", "__pycache__", ".pytest_cache"}
