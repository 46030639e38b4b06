"""The same random numbers each time that code runs again, and none of them missing afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def repeatable() -> Iterator[Callable[[], None]]:
    """Gives a function that starts NumPy's random numbers over; afterwards all is as it was before.

    Generators that code makes without a seed get one, too: another each time, and the same ones after a start.
    Those that an object holds are copied with it.
    """
    state = np.random.get_state()  # noqa: NPY002  The user's code may draw from it.
    original = np.random.default_rng
    calls = 0

    def default_rng(seed: Any = None) -> np.random.Generator:
        nonlocal calls
        if seed is None:
            calls += 1
            seed = (0x5EED, calls)
        return original(seed)

    def start() -> None:
        nonlocal calls
        calls = 0
        np.random.set_state(state)  # noqa: NPY002

    np.random.default_rng = default_rng  # type: ignore[assignment]
    try:
        yield start
    finally:
        np.random.default_rng = original
        np.random.set_state(state)  # noqa: NPY002
