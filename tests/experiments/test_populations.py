"""`--population` of the experiments: a table that adds up, files, and what is refused."""

import json

import numpy as np
import pytest

from experiments import _populations, mnist, xor


@pytest.mark.long
def test_the_table_of_xor_counts_each_network_once_in_each_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(_populations, "RANGES", (0.1, 2.0))
    monkeypatch.setattr(_populations, "RATES", (0.5, 5.0))
    cells = xor.run(xor.Config(population=40, steps=2000, out=tmp_path / "run"))
    assert [cell.networks for cell in cells] == [10] * 8
    assert {cell.precision for cell in cells} == {"float32", "float64"}
    assert all(0 <= cell.learnt <= 10 for cell in cells)
    learnt = {(cell.initial_range, cell.learning_rate): cell.learnt for cell in cells if cell.precision == "float32"}
    assert learnt[0.1, 0.5] == 0  # All but equal weights stay so for thousands of steps.
    assert learnt[2.0, 5.0] > 2
    assert json.loads((tmp_path / "run" / "table.json").read_text()) == [cell._asdict() for cell in cells]


@pytest.mark.long
def test_mnist_gives_the_accuracy_of_each_seed(tmp_path, few_images):
    config = mnist.Config(population=3, epochs=8, hidden=8, batch_size=10, learning_rate=0.5, out=tmp_path / "run")
    accuracies = mnist.run(config)
    table = json.loads((tmp_path / "run" / "table.json").read_text())
    assert table["seeds"] == [1, 2, 3]
    assert table["test_accuracy"] == accuracies
    assert f"{np.mean(accuracies):.2%} ± {np.std(accuracies, ddof=1):.2%}" in table["summary"]


def test_a_population_is_not_resumed_and_its_size_not_negative(command, tmp_path):
    resumed = command("xor", "--population", 10, "--resume", "--out", tmp_path / "run")
    assert (resumed.status, resumed.err) == (
        2, "Expected --resume or --population, found both: a population is trained in one go.\n",
    )  # fmt: skip
    for name in ("xor", "mnist"):
        negative = command(name, "--population", -1)
        assert negative.status == 2
        assert negative.err.startswith("Expected --population of at least 0, found -1")
