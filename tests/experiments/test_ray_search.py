"""Optuna through Ray Tune: what it proposes, that it learns, and going on after an interruption."""

import importlib.util
import json
import math

import pytest

from experiments._engine import Work
from experiments._search import make_search
from experiments._space import parse_space
from functional_nets.report.sweep import Tried
from tests.experiments.test_ray_engine import needs_ray, sweep_in_a_process

needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="Optuna is not installed: pip install 'functional_nets[optuna]'"
)
WORDS = ("learning_rate=log(1e-4,10)", "batch_size=2,3,4", "epochs=uniform(1,1000)")
KINDS = {"learning_rate": float, "batch_size": int, "seed": int, "epochs": int}


def searcher_of(tmp_path, words, planned, tried=(), seed=0):
    from experiments._ray_search import make_searcher

    search = make_search("fashion_mnist", parse_space(words, KINDS), [], planned, seed, proposed=True)
    return search, make_searcher(Work("fashion_mnist", None, (), tmp_path, search, tried))


def accuracy(options):
    """The best at a learning rate of 0.1 and a batch of 3."""
    return max(0.0, 1 - 0.2 * abs(math.log10(options["learning_rate"]) + 1) - 0.1 * (options["batch_size"] != "3"))


def tried_by(searcher, count):
    """What so many proposals have found, each one told before the next."""
    found = []
    for at in range(count):
        trial = searcher.suggest(f"id {at}")["trial"]
        score = accuracy(trial.values)
        searcher.on_trial_complete(f"id {at}", {"score": score})
        found.append(Tried(trial.number, trial.values, score, 0.5, 0.5))
    return found


@needs_ray
@needs_optuna
def test_optuna_comes_nearer_to_the_best_and_after_an_interruption_goes_on_from_what_was_found(tmp_path):
    search, searcher = searcher_of(tmp_path, WORDS, 40)
    found = tried_by(searcher, 25)
    assert [each.trial for each in found] == list(range(1, 26))
    assert all(search.holds(each.trial, each.options) for each in found)
    assert all(float(f"{each.options['learning_rate']:.6g}") == each.options["learning_rate"] for each in found)
    assert tried_by(searcher_of(tmp_path, WORDS, 40)[1], 25) == found
    ended = found[:3] + found[4:]  # The fourth was under way.
    further = tried_by(searcher_of(tmp_path, WORDS, 40, ended)[1], 16)
    assert [each.trial for each in further] == [4, *range(26, 41)]
    assert len({tuple(each.options.values()) for each in (*ended, *further)}) == 40
    early, late = (sum(each.test_accuracy for each in some) / len(some) for some in (found[:10], further))
    assert late > early + 0.1


@needs_ray
@needs_optuna
def test_of_few_combinations_optuna_proposes_each_once(tmp_path):
    words = ("learning_rate=0.1,1", "batch_size=uniform(2,6)")
    search, searcher = searcher_of(tmp_path, words, 64)
    proposed = [tuple(searcher.suggest(str(at))["trial"].values.values()) for at in range(search.planned)]
    assert sorted(proposed) == [(rate, size) for rate in ("0.1", "1") for size in range(2, 7)]


@needs_ray
@needs_optuna
@pytest.mark.long
def test_ray_trains_what_optuna_proposes_and_goes_on_with_the_table(tmp_path):
    folder = tmp_path / "sweep"
    words = ("--space", "learning_rate=log(0.01,9)", "--steps", "50", "--trials", "4", "--engine", "ray")
    ended = sweep_in_a_process(folder, *words, "--search", "optuna")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "4 different trials, proposed by Optuna, through Ray" in ended.stdout
    table = json.loads((folder / "table.json").read_text())
    began = table["trials"][:1] + table["trials"][2:3]
    (folder / "table.json").write_text(json.dumps({**table, "trials": began}))
    ended = sweep_in_a_process(folder, "--resume")
    assert "2 of 4 trials are left, proposed by Optuna, through Ray" in ended.stdout, ended.stderr
    rows = json.loads((folder / "table.json").read_text())["trials"]
    assert [row for row in rows if row["trial"] in (1, 3)] == began
    assert len({row["options"]["learning_rate"] for row in rows}) == 4
    assert "trials, proposed by Optuna" in (folder / "report.html").read_text()


def test_a_row_that_no_proposal_could_be_is_refused():
    search = make_search("fashion_mnist", parse_space(WORDS, KINDS), [], 9, 0, proposed=True)
    right = {"learning_rate": 0.5, "batch_size": "3", "epochs": 7}
    assert search.holds(9, right)
    assert not search.holds(10, right)
    assert not search.holds(9, dict(reversed(right.items())))
    for wrong in ({"learning_rate": 11.0}, {"learning_rate": math.nan}, {"batch_size": 3}, {"epochs": 7.0}, {"lr": 1}):
        assert not search.holds(9, {**right, **wrong})


def test_without_optuna_the_search_says_what_to_install(command, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "optuna" else True)
    ended = command("sweep", "--engine", "ray", "--search", "optuna", "--space", "seed=1,2")
    line = "Expected Optuna for --search optuna, found none: pip install 'functional_nets[ray,optuna]'.\n"
    assert (ended.status, ended.err) == (2, line)
