"""`python -m functional_nets.gradcheck`: a report, and an exit status that a script can rely on."""

import json
import subprocess
import sys

import numpy as np
import pytest

from functional_nets.gradcheck.__main__ import main

MODULE = """
import jax.numpy as jnp

def loss(params, x, y):
    return jnp.mean((x @ params["dense"]["w"] + params["b"] - y) ** 2)

def right(params, x, y):
    error = 2 * (x @ params["dense"]["w"] + params["b"] - y) / y.size
    return {"dense": {"w": x.T @ error}, "b": error.sum(0)}

def wrong(params, x, y):
    grads = right(params, x, y)
    return {**grads, "b": -grads["b"]}

def vector_loss(params, x, y):
    return params["b"]

number = 3
"""


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "params/dense/w": rng.normal(size=(3, 2)), "params/b": rng.normal(size=2),
        "arg0": rng.normal(size=(4, 3)), "arg1": rng.normal(size=(4, 2)),
    }  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch, arrays):
    (tmp_path / "their_model.py").write_text(MODULE)
    np.savez(tmp_path / "inputs.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "their_model", raising=False)
    return tmp_path


@pytest.mark.parametrize(("manual", "status"), [("right", 0), ("wrong", 1), (None, 0)])
def test_the_status_says_whether_the_gradient_is_right(here, capsys, manual, status):
    options = ["--manual", f"their_model:{manual}"] if manual else []
    assert main(["their_model:loss", *options, "--inputs", "inputs.npz"]) == status
    shown = capsys.readouterr()
    assert ("WRONG" in shown.out) is bool(status)
    assert shown.err == ""


def test_the_other_witnesses_can_be_asked_for(here, capsys):
    words = ["their_model:loss", "--inputs", "inputs.npz"]
    assert main([*words, "--order", "2", "--forward", "--batched", "--json"]) == 0
    assert {"second order", "forward mode", "vmap"} <= set(json.loads(capsys.readouterr().out)["witnesses"])


def test_json_is_the_report(here, capsys):
    assert main(["their_model:loss", "--manual", "their_model:wrong", "--inputs", "inputs.npz", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [leaf["path"] for leaf in report["leaves"] if not leaf["ok"]] == ["b"]


def test_the_parameters_may_be_one_array(here, capsys):
    (here / "one.py").write_text("def loss(w):\n    return (w**2).sum()\n")
    np.savez(here / "one.npz", params=np.arange(3.0))
    assert main(["one:loss", "--inputs", "one.npz"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["their_model", "--inputs", "inputs.npz"], "MODULE:NAME"),
        (["their_model:nothing", "--inputs", "inputs.npz"], "'nothing'"),
        (["their_model:number", "--inputs", "inputs.npz"], "'number'"),
        (["no_such_module:loss", "--inputs", "inputs.npz"], "no_such_module"),
        (["their_model:loss", "--inputs", "no_such_file.npz"], "no_such_file.npz"),
        (["their_model:loss", "--inputs", "their_model.py"], "their_model.py"),
        (["their_model:vector_loss", "--inputs", "inputs.npz"], "scalar"),
        (["their_model:loss"], "--inputs"),
        (["their_model:loss", "--inputs", "inputs.npz", "--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_input_is_status_2_with_one_line(here, capsys, arguments, words):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda held: held.pop("arg0"), "no arg0"),
        (lambda held: held.update(x=held["arg0"]), "'x'"),
        (lambda held: [held.pop(name) for name in list(held) if name.startswith("params")], "params/NAME"),
        (lambda held: held.update({"params": held["arg0"]}), "found both"),
        (lambda held: held.update({"params/b/c": held["arg0"]}), "two at params/b/c"),
        (lambda held: held.update({"params/dense": held["arg0"]}), "two at params/dense"),
        (lambda held: held.update({"params//w": held["arg0"]}), "found params//w"),
        (lambda held: held.update({"params" + "/a" * 40: held["arg0"]}), "found params/a/a"),
        (lambda held: held.update({"params/\x1b[2J": held["arg0"]}), r"\x1b"),
        (lambda held: held.update(arg0=np.array([{}])), "arrays of numbers"),
        (lambda held: held.pop("params/b"), "KeyError: 'b'"),
    ],
)
def test_a_file_with_other_names_is_bad_input(here, capsys, arrays, change, words):
    change(arrays)
    np.savez(here / "inputs.npz", **arrays)
    assert main(["their_model:loss", "--inputs", "inputs.npz"]) == 2
    assert words in capsys.readouterr().err


def test_help_explains_the_file_and_the_status(here):
    command = [sys.executable, "-m", "functional_nets.gradcheck", "--help"]
    from tests.gradcheck.test_plugin import CHECKOUT

    found = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    for words in ("params/NAME", "arg0, arg1", "Exit status", "--manual MODULE:GRAD"):
        assert words in found.stdout
