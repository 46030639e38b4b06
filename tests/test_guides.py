"""The guides say what happens: their examples run as they stand."""

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_guide_to_bringing_your_own_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # It writes a file.
    failed, tried = doctest.testfile(str(DOCS / "bring_your_own.md"), module_relative=False, encoding="utf-8")
    assert tried > 20
    assert failed == 0
