"""Runs beside each other: what differs in their options and results, in the terminal and as a page.

`python -m experiments.compare RUNS…` names two or more folders of runs, which need not have ended nor be of the same
experiment. The page has their curves over each other.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments._command import DISPLAY, OptionError, argument, option
from experiments._main import main
from experiments._runs import Run, read_run
from functional_nets.report.comparison import Compared, Row, comparison_page, differences, results

NOT_COMPARED = ("out", "overwrite", "resume", "population", *DISPLAY)


@dataclass(frozen=True)
class Config:
    """What can be set."""

    runs: tuple[Path, ...] = argument("folders of runs, such as runs/mnist/…")
    out: Path = option(Path("runs/compare.html"), "page that is written, in place of an earlier one")

    def check(self) -> None:
        """Raises OptionError for what cannot be compared or written."""
        if len(self.runs) < 2:
            raise OptionError(f"Expected RUNS, two folders or more, found {self.runs[0]} alone: name another run.")
        if self.out.is_dir() or self.out.suffix.lower() not in (".html", ".htm"):
            raise OptionError(f"Expected --out to be a file that ends in .html, found {self.out}: name one.")


def run(config: Config) -> Path:
    """Prints the table, writes the page and returns its path."""
    config.check()
    runs = [read_run(folder) for folder in config.runs]
    compared = [
        Compared(name, _options(each), each.metrics, each.result or {})
        for name, each in zip(_names(config.runs), runs, strict=True)
    ]
    console = Console(highlight=False)
    console.print(_table([each.name for each in compared], differences(compared), results(compared)))
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        config.out.write_text(comparison_page(compared), encoding="utf-8")
    except OSError as error:
        raise OptionError(
            f"Expected --out to be a file that can be written, found {config.out} ({error.strerror}): choose another."
        ) from None
    console.print(Text(f"curves: {config.out}"), soft_wrap=True)
    return config.out


def _options(each: Run) -> dict[str, object]:
    options = {name: value for name, value in dataclasses.asdict(each.config).items() if name not in NOT_COMPARED}
    return {"experiment": each.name, **options}


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders without what all have in common at their beginning; a folder given twice is numbered."""
    paths = [folder.absolute() for folder in folders]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    names = [str(path.relative_to(common)) for path in paths]
    return [f"{name} ({number + 1})" if names.count(name) > 1 else name for number, name in enumerate(names)]


def _table(names: Sequence[str], unlike: Sequence[Row], found: Sequence[Row]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for rows in (unlike, found):
        for number, row in enumerate(rows):
            cells = [
                Text(value + (" ★" if best else ""), style="bold" if best else "")
                for value, best in zip(row.values, row.best, strict=True)
            ]
            table.add_row(Text(row.name), *cells, end_section=number == len(rows) - 1)
    return table


if __name__ == "__main__":
    main(Config, "compare", __doc__, run)
