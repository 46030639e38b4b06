"""The report of a run, made again from the run's folder: `python -m experiments.report RUN`.

A run writes its report when it ends. This writes it once more, from the files of the run and the same data.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from experiments import xor
from experiments._classifier import answer_sections
from experiments._command import OptionError, argument, command_line
from experiments._main import main
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
    options, command = dataclasses.asdict(found.config), command_line(found.name, found.config)
    sections = _sections(found)
    try:
        write_report(found.folder, summary, found.metrics, options, command, sections)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OptionError(
            f"Expected the records of a run in {found.folder}, found others ({type(error).__name__}: {error}): "
            "restore its files, or run it again."
        ) from None
    except OSError as error:
        raise OptionError(f"Expected a folder to write to, found {found.folder} ({error.strerror}).") from None
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
