"""The notebooks' own code, cut from their text and run as it stands.

The cells that the tests need are kept in `notebooks/`; where the whole notebooks are at hand, in
`../shared/notebooks` or the folder that FUNCTIONAL_NETS_NOTEBOOKS names, they are cut from there.
"""

import os
import re
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent / "notebooks"
WHOLE = Path(os.environ.get("FUNCTIONAL_NETS_NOTEBOOKS", Path(__file__).parents[2].parent / "shared" / "notebooks"))


def notebook(number: str) -> Path:
    """The text of a notebook, or of the cells kept from it."""
    return next(iter(sorted(WHOLE.glob(f"{number}_*.txt"))), KEPT / f"{number}_cells.txt")


def run_definitions(number: str, names: str, **namespace: Any) -> dict[str, Any]:
    """Run the last definition of each class or function in a notebook, at the lines where it stands."""
    path = notebook(number)
    text = path.read_text(encoding="utf-8")
    for name in names.split():
        *_, found = re.finditer(rf"^(class|def) {name}\b.*\n((    |  )?[ \t].*\n|\n(?=[ \t]))*", text, re.MULTILINE)
        lines_before = text.count("\n", 0, found.start())
        exec(compile("\n" * lines_before + found.group(), str(path), "exec"), namespace)
    return namespace
