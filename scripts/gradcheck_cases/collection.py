"""All cases, by the set that they came with.

Each set was written by somebody who had seen neither the catalogue of mistakes nor the other sets. A set shows what
to expect of unseen bugs when it is run for the first time; afterwards the catalogue learns from it.
"""

import importlib
import pkgutil

from . import controls, eighth, fifth, first, fourth, ninth, second, seventh, sixth, tenth, third
from .corpus import CONTROLS, FAULTS
from .objects import OBJECTS

SET_OF: dict[str, str] = {}
"""The name of the set that a case came with, by the case's id."""


def _registered() -> dict[str, object]:
    return {case.id: case for case in (*FAULTS, *CONTROLS, *OBJECTS)}


def _load() -> None:
    for package in (first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth):
        for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"{package.__name__}.{module}")
        name = package.__name__.rsplit(".", 1)[-1]
        networks = dict.fromkeys(fault.network for fault in FAULTS if fault.id not in SET_OF)
        controls.register_again(tuple(networks))
        for case_id in _registered():
            SET_OF.setdefault(case_id, name)


_load()
SETS = tuple(dict.fromkeys(SET_OF.values()))
NETWORKS = tuple(dict.fromkeys(fault.network for fault in FAULTS))
CASES = _registered()

__all__ = ["CASES", "CONTROLS", "FAULTS", "NETWORKS", "OBJECTS", "SETS", "SET_OF"]
