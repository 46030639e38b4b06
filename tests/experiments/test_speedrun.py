"""The record runs: what they report is what they measured."""

import json

import pytest

from experiments import speedrun
from functional_nets.models import mlp


@pytest.fixture
def short(monkeypatch):
    """One recipe that takes no time."""
    recipe = speedrun.Recipe("784-8-10", lambda: mlp((784, 8, 10)), 20, 40, 0.02)
    monkeypatch.setattr(speedrun, "RECIPES", {97: recipe})


@pytest.mark.usefixtures("short", "few_images")
@pytest.mark.long
def test_each_seed_counts_once_and_the_line_holds_their_mean(tmp_path, capsys):
    (found,) = speedrun.run(speedrun.Config(seeds=2, out=tmp_path / "run"))
    assert len(found.accuracies) == len(found.seconds) == 2
    assert f"test accuracy {sum(found.accuracies) / 2:.3%}" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "table.json").read_text()) == [found._asdict()]


@pytest.mark.parametrize(("option", "value"), [("--target", 96), ("--seeds", 0)])
def test_what_cannot_be_is_refused_in_one_line(command, option, value):
    refused = command("speedrun", option, value)
    assert refused.status == 2
    assert refused.err.startswith(f"Expected {option}")
    assert refused.err.count("\n") == 1
