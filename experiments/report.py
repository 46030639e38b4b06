"""The report of a run, made again from the run's folder: `python -m experiments.report RUN`.

A run writes its report when it ends. This writes it once more, from the files of the run and the same data.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from experiments import xor
from experiments._classifier import answer_sections
from experiments._command import argument, command_line, main
from experiments._runs import Run, read_run, trained_params
from functional_nets import data
from functional_nets.report import Section, write_report


@dataclass(frozen=True)
class Config:
    """What can be set."""

    run: Path = argument("folder of the run, such as runs/mnist/…")


def run(config: Config) -> Path:
    """Writes the report anew and returns its path."""
    found = read_run(config.run)
    summary = found.finished()
    options = dataclasses.asdict(found.config)
    write_report(
        found.folder, summary, found.metrics, options, command_line(found.name, found.config), _sections(found)
    )
    print(f"written: {found.folder}/report.html and {found.folder}/pictures")
    return found.folder / "report.html"


def _sections(found: Run) -> list[Section]:
    params = trained_params(found)
    if isinstance(found.config, xor.Config):
        return xor.sections(found.config, params)
    source = found.finished()["source"]
    images = data.load(found.experiment.DATASET, source=source, data_dir=found.config.data_dir)
    return answer_sections(found.model, params, images)


if __name__ == "__main__":
    main(Config, "report", __doc__, run)
