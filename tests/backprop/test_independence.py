"""The witness has never heard of JAX: NumPy and the standard library are all that it imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import functional_nets.backprop

FOLDER = Path(functional_nets.backprop.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "numpy"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_a_file_imports_numpy_and_the_standard_library_only(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names = [node.module or ""]
        for name in names:
            inside = name == "functional_nets.backprop" or name.startswith("functional_nets.backprop.")
            assert inside or name.split(".")[0] in ALLOWED, f"line {node.lineno}: {name}"


def test_importing_all_of_it_loads_nothing_else():
    parts = (("functional_nets", "backprop", *file.relative_to(FOLDER).with_suffix("").parts) for file in FILES)
    modules = [".".join(part).removesuffix(".__init__") for part in parts]
    others = {"jax", "jaxlib", "jaxtyping", "flax", "optax", "torch", "scipy", "ml_dtypes"}
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"loaded = {{name.split('.')[0] for name in sys.modules}}\n"
        f"print(*sorted(loaded & {others!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]
    )
    assert done.stdout.split() == []
