"""A file that asks for all memory there is gets a line."""

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="memory is measured as Unix does")

from tests.hostile.bombs import BOMBS, MEMORY
from tests.test_architecture import CHECKOUT


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What each bomb was answered, by name, and under None the most memory that they took."""
    words = [sys.executable, "-m", "tests.hostile.bombs", str(tmp_path_factory.mktemp("bombs"))]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    *lines, peak = ended.stdout.splitlines()
    return dict(line.split("\t") for line in lines) | {None: int(peak)}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_line_that_says_what_it_is(output, name):
    assert output[name].startswith("Expected ")
    assert "found" in output[name]
    assert BOMBS[name].words in output[name]


def test_no_bomb_takes_a_gigabyte(output):
    assert output[None] < MEMORY * 0.5
