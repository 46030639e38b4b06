"""A training that is killed, at a random instant or in the middle of a save, ends as if nobody had killed it.

The short form of `scripts/torture.py`, with real processes and SIGKILL.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")
def test_no_kill_loses_anything():
    command = [sys.executable, "scripts/torture.py", "--only", "xor", "--kills", "3", "--seed", "3"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    kills, resumes = map(int, re.search(r"(\d+) kills, (\d+) resumes, 0 losses", run.stdout).groups())
    assert kills >= 3
    assert resumes >= 1
    assert len(re.findall(r"^ +[1-9]\d* (before|after) \w", run.stdout, re.M)) >= 1
