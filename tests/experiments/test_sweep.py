"""Sweeps: what is drawn, that a trial is the run alone, going on after an interruption, and what is refused."""

import dataclasses
import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import _training, _trials, _vmap_engine, fashion_mnist, mnist, sweep
from experiments._command import command_line
from experiments._space import draw_trials, is_grid, parse_space
from experiments._sweep_table import LARGEST, MOST_TRIALS
from functional_nets.report.parallel import Dimension
from functional_nets.report.sweep import Sweep, Tried, ranked, sweep_page
from tests.report.reading import read

KINDS = {"learning_rate": float, "batch_size": int, "optimizer": str}
FLOATS = st.floats(1e-6, 1e6)


@settings(max_examples=50, deadline=None)
@given(low=FLOATS, factor=st.floats(1.01, 1e6), form=st.sampled_from(["log", "uniform"]), seed=st.integers(0, 2**32))
def test_what_is_drawn_lies_in_its_interval_and_more_trials_begin_with_the_same(low, factor, form, seed):
    high = low * factor
    space = parse_space([f"learning_rate={form}({low!r},{high!r})", "batch_size=log(1,1000)"], KINDS)
    drawn = draw_trials(space, 20, seed)
    assert all(low <= values["learning_rate"] <= high for values in drawn)
    assert all(type(values["batch_size"]) is int and 1 <= values["batch_size"] <= 1000 for values in drawn)
    assert draw_trials(space, 5, seed) == drawn[:5]
    assert draw_trials(space, 20, seed + 1) != drawn


def test_log_draws_as_often_below_the_geometric_mean_as_above_and_uniform_below_the_arithmetic():
    for form, middle in (("log", 0.1), ("uniform", 0.505)):
        drawn = draw_trials(parse_space([f"learning_rate={form}(0.01,1)"], KINDS), 400, 0)
        below = sum(values["learning_rate"] < middle for values in drawn)
        assert abs(below - 200) < 5 * math.sqrt(400) / 2


def test_lists_alone_are_the_whole_grid_if_it_is_small_enough_and_never_twice_the_same_otherwise():
    space = parse_space(["batch_size=32,64,128", "optimizer=sgd,adam"], KINDS)
    grid = [{"batch_size": size, "optimizer": name} for size in ("32", "64", "128") for name in ("sgd", "adam")]
    assert draw_trials(space, 6, 0) == draw_trials(space, 100, 1) == grid
    drawn = draw_trials(space, 5, 0)
    assert not is_grid(space, 5)
    assert 2 <= len(drawn) <= 5
    assert all(drawn.count(values) == 1 and values in grid for values in drawn)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("learning_rat=log(1e-3,1)", "found 'learning_rat': did you mean learning_rate?"),
        ("out=a,b", "found 'out': choose one of those."),
        ("learning_rate=lgo(1e-3,1)", "found 'learning_rate=lgo(1e-3,1)': did you mean log(1e-3,1)?"),
        ("learning_rate=log(1e-3,1", "found 'learning_rate=log(1e-3,1': mend what stands after =."),
        ("learning_rate=log(0,1)", "Expected numbers above 0 in log(…), found 'learning_rate=log(0,1)'"),
        ("learning_rate=uniform(1,0)", "Expected a lower number before a higher one"),
        ("learning_rate=uniform(0,inf)", "Expected a lower number before a higher one"),
        ("learning_rate=log(1)", "Expected two numbers in log(…)"),
        ("batch_size=log(1.5,8)", "Expected two whole numbers in log(…)"),
        ("optimizer=uniform(0,1)", "Expected a list of values for optimizer, which is no number"),
        ("hidden=8,,9", "mend what stands after =."),
        ("hidden=8,8", "Expected values that differ, found hidden=8,8"),
        ("learning_rate=0.1,1e-1", "Expected values that differ"),
        ("batch_size=5,05", "Expected values that differ"),
        ("hidden=log(1,1e3)", "Expected two whole numbers in log(…), found '1e3' in 'hidden=log(1,1e3)'"),
        # Whatever is drawn of them: with these seeds a value that could be used.
        ("learning_rate=uniform(-0.1,1) --trials 1", "Expected --learning-rate above 0, found -0.1"),
        ("batch_size=uniform(1,201) --trials 1", "Expected batch_size of at most 200"),
        ("hidden=8,0 seed=1,2 --trials 1 --sweep-seed 2", "Expected --hidden of at least 1, found 0"),
        ("seed=uniform(0,9) --trials 1000000000", "Expected --trials of at most 100,000"),
        ("hidden=8 hidden=9", "found hidden twice"),
        ("hidden", "put a name and = before the values."),
        ("hidden=8,x", "Expected a whole number for --hidden, found 'x'"),
        ("hidden=8,0", "Expected --hidden of at least 1, found 0"),
        ("batch_size=100,201", "Expected batch_size of at most 200"),
        ("epochs=1,2 --epochs 3", "Expected epochs in --space or as --epochs, found both"),
        ("seed=1,2 --engine rya", "Expected --engine to be one of vmap, ray, found 'rya'"),
        ("seed=1,2 --scheduler asha", "Expected --engine ray with --scheduler asha, found vmap"),
        ("seed=1,2 --search optuna", "found vmap, which draws all trials before the first"),
        ("seed=1,2 --ray-address h:1", "Expected --engine ray with --ray-address h:1, found vmap"),
        ("seed=1,2 --trials 0", "Expected --trials of at least 1, found 0"),
        ("seed=1,2 --resume", "Expected --out with --resume, found none"),
        ("seed=1,2 --resume --out none", "Expected a sweep to go on with in none, found no table.json"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_one_line(command, few_images, words, line):
    ended = command("sweep", "--space", *words.split())
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert line in ended.err


def test_a_trial_is_the_run_alone_with_its_options_and_one_that_diverges_beside_it_is_said_to(
    command, few_images, tmp_path
):
    words = ("learning_rate=1e30,0.3", "optimizer=momentum", "seed=2", "hidden=8")
    ended = command("sweep", "--space", *words, "--steps", 5, "--out", "run")  # Two epochs and a half.
    assert ended.status == 0, ended.err
    diverged, trial = json.loads((tmp_path / "working folder" / "run" / "table.json").read_text())["trials"]
    assert (diverged["diverged_at"], diverged["test_accuracy"]) == (2, None)
    assert "2 trials, of which 1 diverged" in ended.out
    alone = mnist.Config(learning_rate=0.3, optimizer="momentum", seed=2, hidden=8, steps=5)
    assert command_line("mnist", alone) in ended.out
    assert_is_found_alone(alone, trial, tmp_path)


def assert_is_found_alone(config, trial, tmp_path):
    # The command's own run without its report, whose pictures take most of the time.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "write_report", lambda *arguments: None)
        options = {"gradient_check": False, "out": tmp_path / "alone"}
        summary = mnist.run(dataclasses.replace(config, **options)).summary
    for name in ("test_accuracy", "test_loss", "train_loss"):
        assert trial[name] == pytest.approx(summary[name], rel=1e-5), name


def test_a_trial_of_xor_ends_at_the_loss_that_the_notebook_prints(tmp_path):
    tried = sweep.run(sweep.Config("xor", ("learning_rate=0.5,2",), out=tmp_path / "sweep")).tried[0]
    assert (f"{tried.test_loss:.4f}", f"{tried.train_loss:.4f}", tried.test_accuracy) == ("0.0021", "0.0021", 1.0)


def test_a_switch_is_searched_as_true_and_false():
    trials = _trials.make_trials("fashion_mnist", [{"shuffle": "true"}, {"shuffle": "false"}], [])
    assert [trial.config for trial in trials] == [fashion_mnist.Config(), fashion_mnist.Config(shuffle=False)]


def test_as_many_trials_as_are_allowed_fit_into_a_table_that_can_be_read(tmp_path):
    # Each option that can be searched with a long value, each number with all its digits.
    options = dict.fromkeys(sweep._kinds("lenet") | sweep._kinds("mnist"), -1.2345678901234567e-100)
    table = sweep.Table({}, 0.0, [Tried(100_000, options, *[0.12345678901234567] * 3, None, 2**53)])
    with sweep.RunFolder(tmp_path / "run", resume=False, overwrite=False) as folder:
        folder.begin({})
        table.write(folder, None)
    assert (tmp_path / "run" / "table.json").stat().st_size * MOST_TRIALS <= LARGEST


def test_only_learning_rates_share_a_program():
    drawn = [{"learning_rate": rate, "hidden": hidden} for rate in (0.1, 0.2, 0.3) for hidden in ("8", "9")]
    trials = _trials.make_trials("mnist", drawn, [])
    numbers = [[trial.number for trial in together] for together in _vmap_engine.programs(trials, 2)]
    assert numbers == [[1, 3], [5], [2, 4], [6]]


def test_an_interrupted_sweep_goes_on_after_its_last_program_and_another_is_refused(command, monkeypatch):
    words = ("--experiment", "xor", "--steps", 5, "--out", "run", "--space")
    train_together, asked = _vmap_engine.train_together, []

    def killed_in_the_third(problem, trials, on_steps):
        asked.append(trials[0].number)
        if asked == [1, 2, 3]:
            raise KeyboardInterrupt
        return train_together(problem, trials, on_steps)

    monkeypatch.setattr(_vmap_engine, "train_together", killed_in_the_third)
    assert command("sweep", *words, "seed=1,2,3").status == 130
    other = command("sweep", *words, "seed=1,2,4", "--resume")
    assert other.status == 2
    assert "Expected space of the sweep in run, ['seed=1,2,3'], found ['seed=1,2,4']" in other.err
    ended = command("sweep", "--resume", "--out", "run")  # What it was told first is what it goes on with.
    assert ended.status == 0, ended.err
    assert asked == [1, 2, 3, 3]
    assert "1 of 3 trials are left, all combinations, in 1 program" in ended.out


def test_a_table_that_no_sweep_has_written_is_refused(command, tmp_path):
    words = ("--experiment", "xor", "--steps", 5, "--out", "run", "--space", "seed=1,2")
    assert command("sweep", *words).status == 0
    path = tmp_path / "working folder" / "run" / "table.json"
    table = json.loads(path.read_text())
    row = table["trials"][0]
    for change in ({"test_accuracy": 2}, {"trial": 3}, {"test_loss": None}, {"options": {"seed": "3"}}, {"more": 1}):
        path.write_text(json.dumps({**table, "trials": [{**row, **change}]}))
        ended = command("sweep", *words, "--resume")
        assert (ended.status, len(ended.err.splitlines())) == (2, 1)
        assert ended.err.startswith("Expected a trial of this sweep, found ")
    path.write_text(json.dumps({**table, "trials": [row, row]}))
    assert "Expected each trial once" in command("sweep", *words, "--resume").err


def test_where_100_percent_stands_no_other_accuracy_is_written():
    tried = [Tried(n, {"seed": n}, accuracy, 0.5, 0.5) for n, accuracy in ((1, 1.0), (2, 0.75), (3, 0.5))]
    manner = ("drawn at random", "in 1 program", 2.0, "the command", None)
    page = sweep_page(Sweep("xor", [Dimension("seed", (1, 3))], tried, 3, *manner))
    marks = set(re.findall(r">([\d.]+%)</text>", page))
    assert marks == {"50%", "80%", "100%"}


def test_the_page_has_a_line_for_each_trial_and_the_table_begins_with_the_best():
    tried = [Tried(n, {"optimizer": name, "rate": rate}, accuracy, 0.5, 0.5) for n, name, rate, accuracy in (
        (1, "sgd", 0.1, 0.9), (2, "<adam>", 0.01, 1.0), (3, "sgd", 1.0, 0.9))]  # fmt: skip
    tried.append(Tried(4, {"optimizer": "sgd", "rate": 0.5}, diverged_at=7))
    assert [each.trial for each in ranked(tried)] == [2, 1, 3, 4]
    dimensions = [Dimension("optimizer", choices=("sgd", "<adam>")), Dimension("rate", (0.01, 1.0), log=True)]
    page = read(
        sweep_page(Sweep("mnist", dimensions, tried, 4, "drawn at random", "in 1 program", 2.0, "the command", None))
    )
    assert "trial optimizer rate test accuracy test loss, nats training loss, nats 2 <adam> 0.01 100.00%" in page.text
    assert "4 sgd 0.5 diverged at step 7" in page.text
    assert "✗ diverged" in page.text
    assert "4 trials, drawn at random" in page.text
    assert "trial 2, 100.00%" in page.text
    lines = [attributes for tag, attributes in page.elements if tag == "path" and attributes.get("fill") == "none"]
    assert len(lines) == 4
    assert ["stroke-dasharray" in line for line in lines] == [True, False, False, False]  # The best is drawn last.
