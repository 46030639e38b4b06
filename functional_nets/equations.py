"""What an equation of a traced JAX function is to a reader: the line that it comes from, and what it calls."""

import os
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import jax

HERE = str(Path(__file__).resolve().parent) + os.sep
LIBRARIES = tuple({sysconfig.get_paths()[name] + os.sep for name in ("purelib", "platlib", "stdlib")})
JAX = str(Path(jax.__file__).resolve().parent) + os.sep
GENERATED = ("<frozen", "<string>", "<__array")  # Not "<stdin>" or "<ipython-input-1-…>", which are the user's own.

CALLS = {
    "jit", "pjit", "closed_call", "core_call", "core_closed_call", "remat", "remat2", "checkpoint", "custom_jvp_call",
    "custom_vjp_call", "custom_vjp_call_jaxpr",
}  # fmt: skip
"""Primitives that do nothing but call the jaxpr in their params."""


class Location(NamedTuple):
    """A line of source.

    Attributes:
        file: Its path.
        line: Its number, from 1.
        function: The function that it stands in.
    """

    file: str
    line: int
    function: str


def called_jaxpr(params: dict[str, Any]) -> Any:
    """Returns what an equation of `CALLS` calls, a jaxpr or a closed one, from the equation's params."""
    return next(params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in params)


def user_line(equation: Any, caller: Location | None = None, *, tracer: str = "") -> Location | None:
    """Returns the innermost line of an equation that stands neither in JAX nor in a library nor here.

    What a library has jitted knows nothing of the lines outside of it: it has the line of its caller. Without
    a line outside, it is the innermost one in this package.

    Args:
        equation: Of a jaxpr.
        caller: The line of the equation that calls the jaxpr.
        tracer: The file that had the function traced: what called that is not part of the function.
    """
    traceback = equation.source_info.traceback
    if traceback is None:
        return caller
    fallback = None
    for frame in traceback.frames:
        file = frame.file_name
        if file == tracer:
            break
        if file.startswith((JAX, *GENERATED)):
            continue
        location = Location(file, frame.line_num, frame.function_name.rpartition(".")[2])
        if not file.startswith((HERE, *LIBRARIES)):
            return location
        fallback = fallback or location
    return caller or fallback


def user_frames(equation: Any, *, tracer: str) -> tuple[Location, ...]:
    """Returns the lines that led to an equation, the outermost first, without those of JAX and other libraries.

    Args:
        equation: The equation.
        tracer: The file of what traced it: the lines outside of it are not part of the function.
    """
    found: list[Location] = []
    for frame in getattr(equation.source_info.traceback, "frames", ()):
        if frame.file_name == tracer:
            break
        if not frame.file_name.startswith((JAX, *GENERATED, *LIBRARIES)):
            found.append(Location(frame.file_name, frame.line_num, frame.function_name.rpartition(".")[2]))
    return tuple(reversed(found))
