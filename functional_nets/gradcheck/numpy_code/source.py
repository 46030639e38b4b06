"""Where in the user's code something stands: a method, or the line in it that computes one gradient."""

import ast
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from functional_nets.equations import HERE, LIBRARIES, Location


def methods(subject: Any, name: str) -> Iterator[Callable[..., Any]]:
    """Yields the functions that an object has under a name: its class's own first, then those it inherits."""
    for cls in type(subject).__mro__:
        found = cls.__dict__.get(name)
        found = getattr(found, "__func__", found)
        if inspect.isfunction(found):
            yield inspect.unwrap(found)


def definition(function: Callable[..., Any] | None) -> Location | None:
    """Returns the line at which a function begins."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return Location(code.co_filename, code.co_firstlineno, code.co_name) if code else None


def method_line(subject: Any, name: str) -> Location | None:
    """Returns the line at which a method begins."""
    return next((definition(function) for function in methods(subject, name)), None)


def stored_line(subject: Any, method: str, name: Any) -> Location | None:
    """Returns the line of a method, inherited ones included, that stores something under a name or a key."""
    for function in methods(subject, method):
        tree = _tree(function)
        if tree is None:
            continue
        lines = [s for s in ast.walk(tree) if isinstance(s, _STORES) and any(_names(t, name) for t in _targets(s))]
        if lines:
            last = max(lines, key=lambda statement: statement.lineno)
            return _located(function, _computed(tree, getattr(last, "value", None)) or last)
    return None


def returned_line(subject: Any, method: str, place: int = 0) -> Location | None:
    """Returns the line of a method that computes what it returns: the last assignment of the name, if it is one."""
    for function in methods(subject, method):
        tree = _tree(function)
        returns = [s for s in ast.walk(tree) if isinstance(s, ast.Return) and s.value] if tree else []
        if not tree or not returns:
            continue
        last = max(returns, key=lambda statement: statement.lineno)
        value = last.value
        if isinstance(value, ast.Tuple) and place < len(value.elts):
            value = value.elts[place]
        return _located(function, _computed(tree, value) or last)
    return None


def failing_line(error: BaseException) -> Location | None:
    """Returns the innermost line outside libraries and this package at which an error was raised."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((HERE, *LIBRARIES)) and frame.lineno:
            return Location(frame.filename, frame.lineno, frame.name)
    return None


_STORES = (ast.Assign, ast.AugAssign, ast.AnnAssign)


def _tree(function: Callable[..., Any]) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndexError):
        return None  # Typed into a prompt, or generated: the line of its `def` has to do.


def _located(function: Callable[..., Any], statement: ast.AST) -> Location:
    code = function.__code__
    return Location(code.co_filename, code.co_firstlineno + getattr(statement, "lineno", 1) - 1, code.co_name)


def _targets(statement: Any) -> list[ast.AST]:
    found = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [each for t in found for each in (t.elts if isinstance(t, ast.Tuple) else [t])]


def _names(target: ast.AST, name: Any) -> bool:
    """Whether an assignment's target is `….name`, `…[name]`, or an element of one of those."""
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        if isinstance(target, ast.Attribute):
            return target.attr == name
        if isinstance(target.slice, ast.Constant) and target.slice.value == name:
            return True
        target = target.value
    return False


def _computed(tree: ast.AST, value: ast.AST | None) -> ast.AST | None:
    """The last assignment to the variable that a value is the name of."""
    if not isinstance(value, ast.Name):
        return None
    found = [
        s for s in ast.walk(tree)
        if isinstance(s, _STORES) and any(_root(t) == value.id for t in _targets(s)) and s.lineno <= value.lineno
    ]  # fmt: skip
    return max(found, key=lambda statement: statement.lineno, default=None)


def _root(target: ast.AST) -> str | None:
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def contains(subject: Any, where: Location | None) -> bool:
    """Whether a line stands in one of the methods of an object's class."""
    if where is None:
        return False
    for cls in type(subject).__mro__:
        for member in cls.__dict__.values():
            code = getattr(getattr(member, "__func__", member), "__code__", None)
            if code is not None and code.co_filename == where.file:
                last = max((line for _, _, line in code.co_lines() if line), default=0)
                if code.co_firstlineno <= where.line <= last:
                    return True
    return False
