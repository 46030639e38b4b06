"""Which operations belong together: what the user's source lines, functions and named scopes say of it."""

import linecache
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from functional_nets.equations import Location
from functional_nets.report.graph.units import Unit

MOST = 12  # Layers into which the passes of a loop without weights are gathered.
LARGE = 24  # Operations, above which a layer is divided further if its lines allow it.
WEIGHTED = {"dot_general", "conv_general_dilated"}


class Function(NamedTuple):
    """A function that was entered."""

    file: str
    name: str


Step = Location | Function | str
Path = tuple[Step, ...]


class Run(NamedTuple):
    """Operations in a row, and which passes of a loop they are, such as `1–13`, if several are gathered."""

    numbers: list[int]
    passes: str = ""


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
    for run, passes in runs:
        layer = _layer(units, paths, run, names)
        if passes:
            found.append(layer._replace(label=f"passes {passes}: {layer.label or _source(layer.where)}"))
            continue
        elsewhere = (path for number, path in enumerate(paths) if number not in run)
        if not layer.label and any(layer.where in path for path in elsewhere):
            layer = layer._replace(label=" ".join(symbols[number] for number in run))
        found.append(layer if layer.label else layer._replace(label=_source(layer.where)))
    return found


def _path(unit: Unit) -> Path:
    """Returns named scopes, then the functions entered and the lines in them, the outermost first."""
    entered = (step for line in unit.stack for step in (Function(line.file, line.function), line))
    return (*filter(None, unit.scope.split("/")), *entered)


def _divided(units: Sequence[Unit], paths: list[Path], run: list[int], depth: int) -> list[Run]:
    heads = {number: paths[number][: depth + 1] for number in run}
    if all(len(head) <= depth for head in heads.values()):
        return _passes(units, paths, run)
    parts = [list(part) for _, part in groupby(run, key=heads.__getitem__)]
    if len(parts) == 1:
        return _divided(units, paths, run, depth + 1)
    tips = [heads[part[0]] for part in parts]
    lines = [tip if isinstance(tip[-1], Location) else number for number, tip in enumerate(tips)]
    passes = _loop(list(zip(lines, parts, strict=True)))
    if passes:
        return _gathered(units, paths, passes, depth)
    found = []
    for part in parts:
        found += _divided(units, paths, part, depth + 1) if _several(units, part) else [Run(part)]
    return found


def _several(units: Sequence[Unit], part: list[int]) -> bool:
    return sum(units[number].op in WEIGHTED for number in part) > 1 or len(part) > LARGE


def _loop(parts: Sequence[tuple[Hashable, list[int]]]) -> list[list[int]]:
    """Returns the passes of a loop: a pass ends before the first part that it has had; none if it is no loop."""
    found: list[list[int]] = []
    seen: set[Hashable] = set()
    for key, part in parts:
        if not found or key in seen:
            found.append([])
            seen = set()
        seen.add(key)
        found[-1] += part
    return found if len(found) > 2 else []


def _gathered(units: Sequence[Unit], paths: list[Path], passes: list[list[int]], depth: int) -> list[Run]:
    """Returns each pass of a loop with weights, and several at once of other loops, which are many and small."""
    if any(units[number].op in WEIGHTED for one in passes for number in one):
        alone = (_divided(units, paths, one, depth) if _several(units, one) else [Run(one)] for one in passes)
        return [run for runs in alone for run in runs]
    each = -(-len(passes) // MOST)
    if each == 1:
        return [Run(one) for one in passes]
    starts = range(0, len(passes), each)
    together = [(start, [number for one in passes[start : start + each] for number in one]) for start in starts]
    return [Run(numbers, f"{start + 1}–{min(start + each, len(passes))}") for start, numbers in together]


def _passes(units: Sequence[Unit], paths: list[Path], run: list[int]) -> list[Run]:
    """Divides a run before each further use of the line that multiplies by weights: the next pass of a loop."""
    if len(run) > LARGE and not any(units[number].op in WEIGHTED for number in run):
        passes = _loop([((units[number].op, paths[number]), [number]) for number in run])
        return _gathered(units, paths, passes, 0) if passes else [Run(run)]
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
    return [Run(each) for each in found]


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
    """Returns what the paths of parameters have in common: `dense1` of `dense1/w` and `dense1/b`, `net/0` of pairs."""
    parents = {leaf: leaf.rpartition("/")[::2] for leaf in leaves if "/" in leaf}
    pairs = len(parents) > 1 and all("/" in parent for parent, _ in parents.values())  # (w, b) in a list of layers.
    groups = {leaf if last.isdigit() and not pairs else parent for leaf, (parent, last) in parents.items()}
    return groups.pop() if len(groups) == 1 else ""


def _source(where: Location | None) -> str:
    if where is None:
        return "layer"
    return linecache.getline(where.file, where.line).strip().removeprefix("return ") or f"line {where.line}"
