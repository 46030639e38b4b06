"""The notebook: it is what its source says, it runs from top to bottom, and all its outputs are stored."""

import contextlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    """`scripts/notebook.py`, which makes the notebook."""
    sys.path.insert(0, str(CHECKOUT / "scripts"))
    try:
        import notebook

        yield notebook
    finally:
        sys.path.remove(str(CHECKOUT / "scripts"))


@pytest.fixture(scope="module")
def stored(script):
    return nbformat.read(script.NOTEBOOK, as_version=4)


def kinds(cell):
    """What each output of a cell is: its name or its media types."""
    return [each.get("name") or sorted(each.data) for each in cell.outputs]


def text(cell):
    return "".join(each.get("text", "") for each in cell.outputs)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_that_of_its_source(script, stored):
    made = script.from_source()
    assert [(cell.cell_type, cell.id, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.id, cell.source) for cell in made.cells
    ], "run scripts/notebook.py"
    nbformat.validate(stored)


def test_its_stored_outputs_are_of_one_run_from_the_top(stored):
    assert [cell.execution_count for cell in code(stored)] == list(range(1, len(code(stored)) + 1))
    assert not [each for cell in code(stored) for each in cell.outputs if each.output_type == "error"]


def test_no_stored_output_is_the_name_of_an_object(stored):
    shown = [each["data"] for cell in code(stored) for each in cell.outputs if "data" in each]
    assert [each for each in shown if each.keys() == {"text/plain"}] == []


@pytest.mark.parametrize(("version", "fits"), [("0.4.35", False), ("0.10.2", False), ("0.9.1", True), ("0.11.0", True)])
def test_where_the_package_is_missing_its_first_cell_keeps_jax_or_says_why_it_cannot(
    stored, monkeypatch, tmp_path, version, fits
):
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    packages = [SimpleNamespace(name=name, version=version) for name in ("JAX", "jaxlib", "jaxtyping", "numpy")]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: packages)
    monkeypatch.setattr(subprocess, "run", lambda words, **_: asked.append(words))
    with contextlib.nullcontext() if fits else pytest.raises(RuntimeError, match=f"found {version}: choose"):
        exec(stored.cells[1].source, {})
    assert len(asked) == fits
    if fits:
        assert (tmp_path / "kept.txt").read_text() == f"jax=={version}\njaxlib=={version}"


def test_its_stored_networks_have_learnt(stored):
    shown = "".join(map(text, code(stored)))
    accuracies = [float(found) for found in re.findall(r"test accuracy ([\d.]+)%", shown)]
    assert len(accuracies) == 3
    assert min(accuracies) > 80
    assert [float(found) > 0.5 for found in re.findall(r"probability ([\d.]+)", shown)] == [False, True, True, False]


@pytest.mark.long
def test_it_runs_and_gives_outputs_of_the_kinds_that_are_stored(script, stored):
    cells = code(script.executed(script.from_source()))
    assert [kinds(cell) for cell in cells] == [kinds(cell) for cell in code(stored)]
    right, wrong = (text(cell) for cell in cells if "fn.gradcheck.check(" in cell.source)
    assert "4 arrays agree" in right
    assert re.search(
        r"Cell In\[\d+\]:4    log_y = jax.nn.log_softmax\(scores\)\n  log_softmax runs over the whole", wrong
    )


def test_the_badge_and_the_notebook_name_the_repository_that_pyproject_names(script, stored):
    address = script.repository()
    assert script.badge() in script.README.read_text(encoding="utf-8")
    assert f'REPOSITORY = "{address}"' in stored.cells[1].source
    assert script.badge().count(address.removeprefix("https://github.com/")) == 1
