"""Train pure-function networks in JAX, with gradients that can be trusted and explained.

The rooms are imported when first named, so that `functional_nets.backprop` never loads JAX and a
command that only prints its help starts at once.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

__all__ = ["backprop", "data", "gradcheck", "models", "nn", "report", "training"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
