"""Notebooks, in which code lies in no file that people know."""

import sys


def shown_file(file: str) -> str:
    """Returns a file's name for people: the cell of a notebook as IPython's own tracebacks call it, `Cell In[3]`."""
    # Whoever runs in a notebook has loaded IPython; nobody else shall wait for it.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    cell = shell.compile.format_code_name(file) if shell else None
    return " ".join(cell) if cell else file
