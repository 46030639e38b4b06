"""Experiments called as their command calls them, in this process, and small images to train on."""

import importlib
import sys
from typing import NamedTuple

import numpy as np
import pytest

from experiments import _main
from functional_nets import data
from functional_nets.data import Dataset, Split


class Outcome(NamedTuple):
    """How a command ended, and what it wrote on its two outputs."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """`command(name, *options)`: what `python -m experiments.name options` does, in an empty folder."""
    folder = tmp_path / "working folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FUNCTIONAL_NETS_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "1000")  # So that --help breaks no line.

    def call(name, *options):
        module = importlib.import_module(f"experiments.{name}")
        monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
        status = 0
        try:
            _main.main(module.Config, name, module.__doc__, getattr(module, "command", module.run))
        except SystemExit as stop:
            status = stop.code or 0
        return Outcome(status, *capsys.readouterr())

    return call


def images(train, test, *, seed=0):
    """Images whose label is the row in which they are bright: easily learnt."""
    random = np.random.RandomState(seed)

    def split(count):
        y = np.arange(count, dtype=np.int32) % 10
        x = random.randint(0, 100, (count, 28, 28, 1))
        x[np.arange(count), 2 * y + 4] += 150
        return Split(x.astype(np.uint8), y)

    return Dataset(split(train), split(test), tuple("0123456789"), "mnist", "embedded")


@pytest.fixture
def no_reports(monkeypatch):
    """Leaves out the pages of runs, which take longer than the short runs themselves."""
    monkeypatch.setattr("experiments._training.write_report", lambda *_: None)
    monkeypatch.setattr("experiments.xor.sections", lambda *_: [])


@pytest.fixture
def few_images(monkeypatch):
    """200 + 50 images in place of each data set; returns how they were asked for."""
    calls = []

    def load(name, **options):
        calls.append((name, options))
        return images(200, 50)

    monkeypatch.setattr(data, "load", load)
    return calls


def contents(folder):
    """Every file below a folder with its bytes, and every folder with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
