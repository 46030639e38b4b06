"""Which operations belong together: what the user's source lines, functions and named scopes say of it."""

import linecache
from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from functional_nets.equations import Location
from functional_nets.report.graph.units import Unit

LARGE = 24  # Operations, above which a layer is divided further if its lines allow it.
WEIGHTED = {"dot_general", "conv_general_dilated"}


class Function(NamedTuple):
    """A function that was entered."""

    file: str
    name: str


Step = Location | Function | str
Path = tuple[Step, ...]


class Layer(NamedTuple):
    """A run of operations that fold into one box.

    Attributes:
        label: What stands on the box: a scope's, parameter's or function's name, or the line of source.
        units: The positions of its operations.
        where: The user's line.
    """

    label: str
    units: tuple[int, ...]
    where: Location | None


def layers(units: Sequence[Unit], names: Mapping[int, str], symbols: Sequence[str]) -> list[Layer]:
    """Returns the layers in the order in which they run: contiguous runs, so that folding makes no cycle.

    Args:
        units: The operations.
        names: By value, the names of the function's inputs.
        symbols: What stands on the operations, for a layer that has no better name.
    """
    paths = [_path(unit) for unit in units]
    runs = _divided(units, paths, list(range(len(units))), 0) if units else []
    found = []
    for run in runs:
        layer = _layer(units, paths, run, names)
        elsewhere = (path for number, path in enumerate(paths) if number not in run)
        if not layer.label and any(layer.where in path for path in elsewhere):
            layer = layer._replace(label=" ".join(symbols[number] for number in run))
        found.append(layer if layer.label else layer._replace(label=_source(layer.where)))
    return found


def _path(unit: Unit) -> Path:
    """Returns named scopes, then the functions entered and the lines in them, the outermost first."""
    entered = (step for line in unit.stack for step in (Function(line.file, line.function), line))
    return (*filter(None, unit.scope.split("/")), *entered)


def _divided(units: Sequence[Unit], paths: list[Path], run: list[int], depth: int) -> list[list[int]]:
    heads = {number: paths[number][: depth + 1] for number in run}
    if all(len(head) <= depth for head in heads.values()):
        return _passes(units, paths, run)
    parts = [list(part) for _, part in groupby(run, key=heads.__getitem__)]
    if len(parts) == 1:
        return _divided(units, paths, run, depth + 1)
    found = []
    for part in parts:
        several = sum(units[number].op in WEIGHTED for number in part) > 1 or len(part) > LARGE
        found += _divided(units, paths, part, depth + 1) if several else [part]
    return found


def _passes(units: Sequence[Unit], paths: list[Path], run: list[int]) -> list[list[int]]:
    """Divides a run before each further use of the line that multiplies by weights: the next pass of a loop."""
    found: list[list[int]] = [[]]
    seen: set[tuple[str, Path]] = set()
    for number in run:
        here = (units[number].op, paths[number])
        if here in seen:
            found.append([])
            seen = set()
        if here[0] in WEIGHTED:
            seen.add(here)
        found[-1].append(number)
    return found


def _layer(units: Sequence[Unit], paths: list[Path], run: list[int], names: Mapping[int, str]) -> Layer:
    shared = _shared([paths[number] for number in run])
    lines = [step for step in shared if isinstance(step, Location)]
    where = lines[-1] if lines else units[run[0]].where
    scopes = [step for step in shared if isinstance(step, str)]
    entered = [step.name for step in shared if isinstance(step, Function) and not step.name.startswith("<")]
    name = scopes[-1] if scopes else entered[-1].lstrip("_") if len(entered) > 1 else ""
    leaves = [names[number] for unit in run for number in units[unit].operands if number in names]
    name = _group(leaves) or name
    return Layer(name, tuple(run), where)


def _shared(paths: list[Path]) -> Path:
    """Returns the steps with which all paths begin."""
    alike = (len(set(steps)) == 1 for steps in zip(*paths, strict=False))
    return paths[0][: sum(takewhile(bool, alike))]


def _group(leaves: list[str]) -> str:
    """Returns what the paths of parameters have in common: `dense1` of `dense1/w` and `dense1/b`."""
    parents = ((leaf, *leaf.rpartition("/")[::2]) for leaf in leaves if "/" in leaf)
    groups = {leaf if last.isdigit() else parent for leaf, parent, last in parents}
    return groups.pop() if len(groups) == 1 else ""


def _source(where: Location | None) -> str:
    if where is None:
        return "layer"
    return linecache.getline(where.file, where.line).strip().removeprefix("return ") or f"line {where.line}"
