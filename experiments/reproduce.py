"""All that five published notebooks print, and what this package finds: one table, in which no row differs.

Every printed number that is not random must come out to its last digit. Where a notebook did not seed what it
drew, the table says where its number lies among ours: for Fashion-MNIST, 20 networks trained for ten epochs
as one program, which takes most of the time: ten minutes on two cores, two with --seeds 3. The exit status is 1
if any row differs.
"""

import collections
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax

from experiments import _published_fashion, _published_mnist, _published_tape, _published_tensors, _published_xor
from experiments._command import OptionError, option
from experiments._folder import RunFolder
from experiments._main import main
from experiments._published import NOTEBOOKS, PUBLISHED
from experiments._published_verdict import Answer
from functional_nets import data, training
from functional_nets.data import Dataset

EXIT_DIFFERS = 1
WIDEST = 56  # Of a column, in characters; what is longer pushes the rest of its line aside.

Answers = Callable[[Mapping[str, Dataset], int], dict[str, Answer]]

ANSWERS: dict[str, Answers] = {
    "000": lambda images, seeds: _published_xor.answers(),
    "001": lambda images, seeds: _published_tape.chain(),
    "002": lambda images, seeds: _published_mnist.answers(images["mnist"], seeds),
    "003": lambda images, seeds: _published_tensors.answers(),
    "004": lambda images, seeds: _published_fashion.answers(images["fashion_mnist"], seeds),
}
DATA = {"002": "mnist", "004": "fashion_mnist"}


@dataclass(frozen=True)
class Config:
    """What can be set."""

    only: str | None = option(None, "the one notebook to reproduce (default: all)", tuple(NOTEBOOKS))
    seeds: int = option(20, "networks that stand for a notebook's unseeded one; the time grows with them")
    source: str = option("auto", "where the data come from; auto takes the first that is there", data.SOURCES)
    data_dir: Path | None = option(None, "folder of the data, instead of the source's usual ones")
    out: Path | None = option(None, "folder that the run writes (default: runs/reproduce/ and the time)")
    overwrite: bool = option(False, "replace the table that --out holds")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if self.seeds < 2:
            raise OptionError(f"Expected --seeds of at least 2, found {self.seeds}: one shows no spread.")


class Row(NamedTuple):
    """A line of the table: what a notebook prints in a cell, and what we find."""

    notebook: str
    cell: str
    what: str
    printed: str
    ours: str
    verdict: str
    differs: bool


class Result(NamedTuple):
    """What a run has found.

    Attributes:
        folder: Where it wrote `table.json` and `table.md`.
        rows: The table.
    """

    folder: Path
    rows: list[Row]


def run(config: Config) -> Result:
    """Returns the table, after writing and printing it."""
    config.check()
    training.check_arithmetic()
    notebooks = [config.only] if config.only else list(NOTEBOOKS)
    images = {
        name: data.load(name, source=config.source, data_dir=config.data_dir)
        for notebook, name in DATA.items()
        if notebook in notebooks
    }
    folder = RunFolder.choose("reproduce", config.out, resume=False, overwrite=config.overwrite)
    folder.begin({"experiment": "reproduce", **dataclasses.asdict(config)})
    start = time.perf_counter()
    rows: list[Row] = []
    for notebook in notebooks:
        print(f"{notebook}: {NOTEBOOKS[notebook]} …", flush=True)
        rows += judged(notebook, ANSWERS[notebook](images, config.seeds))
    summary = _summary(rows, config.seeds, time.perf_counter() - start, images)
    table = {"summary": summary, "jax": jax.__version__, "rows": [row._asdict() for row in rows]}
    folder.write("table.json", json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    folder.write("table.md", "\n".join([*_markdown(rows), "", *summary]) + "\n")
    print("", *_aligned(rows), "", *summary, f"written: {folder.path}/table.md and table.json", sep="\n")
    return Result(folder.path, rows)


def judged(notebook: str, answers: Mapping[str, Answer]) -> list[Row]:
    """Returns the notebook's rows.

    Raises:
        KeyError: When something that is printed has no answer.
    """
    return [
        Row(notebook, cell, what, printed, *answers[what].judge(printed)) for cell, what, printed in PUBLISHED[notebook]
    ]


def _summary(rows: Sequence[Row], seeds: int, seconds: float, images: Mapping[str, Dataset]) -> list[str]:
    kinds = collections.Counter(row.verdict.split(":")[0] for row in rows)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    notices = [each.notice for each in images.values() if each.notice]
    return [f"{len(rows)} rows: {counted}; {seeds} seeds, {seconds:.0f} s.", *notices]


HEADER = ("notebook", "cell", "what", "printed", "ours", "verdict")


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    lines = [HEADER, *(row[:6] for row in rows)]
    widths = [min(WIDEST, max(len(line[column]) for line in lines)) for column in range(len(HEADER))]
    for line in lines:
        yield "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()


def _markdown(rows: Sequence[Row]) -> Iterator[str]:
    for line in (HEADER, ["---"] * len(HEADER), *(row[:6] for row in rows)):
        yield f"| {' | '.join(line)} |"


def command(config: Config) -> None:
    """Runs, and ends the process with status 1 if a row differs."""
    if any(row.differs for row in run(config).rows):
        raise SystemExit(EXIT_DIFFERS)


if __name__ == "__main__":
    main(Config, "reproduce", __doc__, command)
