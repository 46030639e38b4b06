#!/usr/bin/env python
"""Attack every reader of files from outside with inputs that libFuzzer evolves towards code not yet reached.

    python scripts/fuzz.py [--target npz] [--inputs 100000] [--seed 1] [--out runs/fuzz]

Each input must be refused by the reader's own error, in one line, or be read rightly, as another reader reads it:
see `tests/hostile/targets.py`. Prints a line for each target, and writes every input that did neither into --out. The
exit status is 1 if there is one, if a reader crashes, hangs for 20 seconds or takes a gigabyte. Needs the extra `fuzz`.
"""

import argparse
import collections
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

MEGABYTE = 2**20
IN_MEMORY = Path("/dev/shm")  # A file on a disk takes longer to make than to read.
GUIDES = (
    "functional_nets.data",
    "functional_nets.training.checkpoint",
    "functional_nets.gradcheck.__main__",
    "experiments._records",
    "zipfile",
    "gzip",
)
"""Modules whose branches libFuzzer sees."""

LONGEST = 400  # Bytes that decide on a file.
COLUMNS = "{:<10} {:>9} {:>9} {:>9} {:>8} {:>10} {:>8}"


class Tally:
    """What became of the inputs of one target: counted, and written out where something is wrong."""

    def __init__(self, name: str, inputs: int, out: Path):
        from tests.hostile.targets import TARGETS

        self.target, self.name, self.inputs, self.out = TARGETS[name], name, inputs, out
        self.counts: collections.Counter[str] = collections.Counter()
        self.escapes: dict[str, str] = {}
        self.path = Path(tempfile.mkdtemp(prefix="fuzz-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None)) / "input"
        self.start = time.monotonic()

    def attack(self, data: bytes) -> None:
        """Tries one input; ends the process after the last."""
        from tests.hostile.targets import accepted

        try:
            self.counts["accepted" if accepted(self.target, data, self.path) else "refused"] += 1
        except Exception as error:
            self._escaped(error)
        if self.counts.total() >= self.inputs:
            self._end()

    def _escaped(self, error: Exception) -> None:
        self.counts["escaped"] += 1
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
        if place not in self.escapes:
            saved = self.out / f"{self.name}-{len(self.escapes)}"
            saved.write_bytes(self.path.read_bytes())
            self.escapes[place] = f"{saved}: {place}: {' '.join(str(error).split())[:300]}"

    def _end(self) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        summary = {**self.counts, "peak": peak, "seconds": time.monotonic() - self.start}
        summary["escapes"] = list(self.escapes.values())
        (self.out / f"{self.name}.json").write_text(json.dumps(summary, indent=1) + "\n")
        self.path.unlink()
        self.path.parent.rmdir()
        os._exit(0)  # libFuzzer itself never returns.


def attack(name: str, options: argparse.Namespace) -> None:
    """Runs one target in this process."""
    import atheris

    with atheris.instrument_imports(include=[*GUIDES]):
        tally = Tally(name, options.inputs, options.out)
    words = [f"-max_len={LONGEST}", f"-seed={options.seed}", "-timeout=20", "-rss_limit_mb=1024", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *words, f"-artifact_prefix={options.out}/{name}-crash-"], tally.attack)
    atheris.Fuzz()


def report(name: str, options: argparse.Namespace) -> list[str]:
    """Runs one target in a process of its own, prints its line, and returns what is wrong."""
    summary = options.out / f"{name}.json"
    summary.unlink(missing_ok=True)
    words = ["--inputs", str(options.inputs), "--seed", str(options.seed), "--out", str(options.out), "--alone", name]
    ended = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if not summary.exists():
        print(f"{name:<10} ended with status {ended.returncode}")
        return [f"{name} ended with status {ended.returncode}: {ended.stderr[-2000:]}"]
    found: dict[str, Any] = json.loads(summary.read_text())
    counts = [sum(found.get(kind, 0) for kind in ("accepted", "refused", "escaped"))]
    counts += [found.get(kind, 0) for kind in ("accepted", "refused", "escaped")]
    print(COLUMNS.format(name, *(f"{count:,}" for count in counts), f"{found['peak'] / MEGABYTE:.0f} MB",
                         f"{found['seconds']:.0f} s"), flush=True)  # fmt: skip
    return found["escapes"]


def main() -> int:
    """Attacks the targets one after another; returns the exit status."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("Expected atheris, found none: pip install -e '.[fuzz]'.", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", metavar="NAME", help="the one reader to attack (default: all)")
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs for each target (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="libFuzzer's seed (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder for what is found")
    parser.add_argument("--alone", help=argparse.SUPPRESS)  # The target of a process that this script has started.
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.alone:
        attack(options.alone, options)
    from tests.hostile.targets import TARGETS

    if options.target and options.target not in TARGETS:
        parser.error(f"expected --target to be one of {', '.join(TARGETS)}, found {options.target!r}")
    print(COLUMNS.format("target", "inputs", "accepted", "refused", "escaped", "peak", "time"))
    wrong = [line for name in TARGETS if options.target in (None, name) for line in report(name, options)]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
