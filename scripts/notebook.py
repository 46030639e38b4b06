"""Writes `experiments/functional_nets.ipynb` from `docs/notebook.py`, with every output: python scripts/notebook.py.

The address of the repository stands once, in `pyproject.toml` under `[project.urls]`; the notebook's first cell and the
badge at the top of the README are filled from it.
"""

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

import jupytext
import nbclient
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "docs" / "notebook.py"
NOTEBOOK = ROOT / "experiments" / "functional_nets.ipynb"
README = ROOT / "README.md"
BADGE = re.compile(r"\[!\[Open in Colab\].*\n")


def repository() -> str:
    """Returns the repository's address."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def badge() -> str:
    """Returns the line of the README that opens the notebook in Colab."""
    in_colab = repository().replace("https://github.com", "https://colab.research.google.com/github")
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({picture})]({in_colab}/blob/main/{NOTEBOOK.relative_to(ROOT)})\n"


def from_source() -> NotebookNode:
    """Returns the notebook without outputs; cells are named by their number, so that they stay the same."""
    notebook = jupytext.reads(SOURCE.read_text().replace("{repository}", repository()), fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def executed(notebook: NotebookNode) -> NotebookNode:
    """Returns the notebook after running it from the top in a kernel of this interpreter.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", record_timing=False, coalesce_streams=True
    )
    return client.execute()


def main() -> None:
    """Writes the notebook, and the badge into the README."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    nbformat.write(executed(from_source()), NOTEBOOK)
    README.write_text(BADGE.sub(lambda _: badge(), README.read_text(), count=1))


if __name__ == "__main__":
    sys.exit(main())
