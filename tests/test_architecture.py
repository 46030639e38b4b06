"""The house: imports go down only, no room is too large, and what is not needed is not loaded.

The table is that of the README, "The house".
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = "functional_nets"

FLOORS = {
    "backprop": 0,
    "equations": 0,
    "nn": 1,
    "data": 1,
    "models": 2,
    "training": 3,
    "gradcheck": 3,
    "report": 4,
    "experiments": 5,
}

SOURCES = sorted(path for folder in (PACKAGE, "experiments") for path in (CHECKOUT / folder).rglob("*.py"))
LARGEST = 300  # Lines.


def room(module: str) -> str | None:
    """The room that a dotted module name lies in; None outside the house and in its hall, the package."""
    first, *rest = module.split(".")
    if first == "experiments":
        return first
    return rest[0] if first == PACKAGE and rest else None


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that the source of a module imports, at whatever depth it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, node.module or ""]).strip(".")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def violations(source: str, module: str) -> list[str]:
    """The imports of a module that do not go down."""
    here = room(module)
    return [
        f"{module}:{line} imports {name}"
        for line, name in imports(source, module)
        if here and (there := room(name)) and there != here and FLOORS[there] >= FLOORS[here]
    ]


def test_every_room_has_a_floor():
    files = [
        path for path in (CHECKOUT / PACKAGE).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    rooms = {path.stem for path in files} - {"__init__"}
    assert rooms == set(FLOORS) - {"experiments"}


def test_imports_go_down_only():
    assert [wrong for path in SOURCES for wrong in violations(path.read_text(), module_of(path))] == []


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import functional_nets.training.fit", "functional_nets.models.mlp"),
        ("from functional_nets import training", "functional_nets.models.mlp"),
        ("from functional_nets.gradcheck import check", "functional_nets.training.fit"),
        ("def f():\n    from functional_nets.data import load", "functional_nets.nn.losses"),
        ("from experiments import mnist", "functional_nets.report.page"),
        ("from ..training import fit", "functional_nets.models.mlp"),
    ],
)
def test_an_import_that_goes_up_or_sideways_would_be_seen(source, module):
    assert len(violations(source, module)) == 1


def test_the_witness_knows_numpy_and_the_standard_library_alone():
    allowed = {*sys.stdlib_module_names, "numpy", PACKAGE}
    known = {
        (module_of(path), name)
        for path in SOURCES
        if room(module_of(path)) == "backprop"
        for _, name in imports(path.read_text(), module_of(path))
    }
    assert known
    assert [(module, name) for module, name in known if name.split(".")[0] not in allowed] == []


def test_no_file_is_larger_than_a_room():
    lines = {module_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {module: count for module, count in lines.items() if count > LARGEST} == {}


def loaded_by(statement: str) -> set[str]:
    """The top-level packages in memory after a new interpreter has run a statement."""
    code = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import functional_nets") & {
        "numpy", "jax", "jaxlib", "optax", "flax", "matplotlib", "rich", "tensorflow", "tensorflow_datasets",
    }  # fmt: skip


def test_the_witness_and_the_data_load_no_jax():
    loaded = loaded_by("import functional_nets.backprop, functional_nets.data")
    assert "numpy" in loaded
    assert not loaded & {"jax", "jaxlib", "tensorflow", "tensorflow_datasets"}


def test_the_help_of_an_experiment_loads_neither_tensorflow_nor_its_datasets():
    help_of_mnist = (
        "import contextlib, runpy, sys; sys.argv = ['mnist', '--help']\n"
        "with contextlib.suppress(SystemExit): runpy.run_module('experiments.mnist', run_name='__main__')"
    )
    loaded = loaded_by(help_of_mnist)
    assert "experiments" in loaded
    assert not loaded & {"tensorflow", "tensorflow_datasets", "matplotlib", "flax"}
