"""Slips that a person could make in a formula, as changes of its syntax tree."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    """Another operator, or one operand alone."""
    others = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
    if isinstance(node, ast.BinOp) and type(node.op) in others:
        yield ast.BinOp(node.left, others[type(node.op)](), node.right)
        yield from (node.left, node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        yield from (node.left, node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """Another number, or the other truth."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex):
        yield ast.Constant(node.value + 1)
        if node.value:
            yield ast.Constant(-node.value)


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """A bound that counts or does not, and the opposite."""
    others: dict[type, list[Any]] = {
        ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE],
        ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.In: [ast.NotIn], ast.NotIn: [ast.In],
    }  # fmt: skip
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in others.get(type(node.ops[0]), []):
            yield ast.Compare(node.left, [other()], node.comparators)


FUNCTIONS = {
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "log": "log1p", "sqrt": "square",
    "trunc": "round", "floor": "ceil", "ceil": "floor", "real": "imag", "imag": "real", "maximum": "minimum",
    "minimum": "maximum", "max": "min", "min": "max", "argmax": "argmin", "argmin": "argmax", "sum": "prod",
    "cumsum": "cumprod", "cumprod": "cumsum", "multiply": "add", "logaddexp": "add", "ones": "zeros",
    "zeros": "ones", "ones_like": "zeros_like", "copysign": "maximum", "digamma": "lgamma",
}  # fmt: skip

COMMUTATIVE = {"maximum", "minimum"}

# Python's own: without them a formula fails, or is the same in other words.
BUILT_IN = {
    "tuple", "list", "iter", "zip", "map", "range", "min", "max", "int", "float", "isinstance", "getattr", "any", "all",
}  # fmt: skip


def call(node: ast.AST) -> Iterator[ast.AST]:
    """Another function, swapped arguments, a keyword left out, or the first argument alone."""
    if not isinstance(node, ast.Call) or any(isinstance(arg, ast.Starred) for arg in node.args):
        return
    if isinstance(node.func, ast.Name) and node.func.id in BUILT_IN:
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS:
        other = ast.Attribute(node.func.value, FUNCTIONS[node.func.attr], ast.Load())
        yield ast.Call(other, node.args, node.keywords)
    if len(node.args) >= 2 and not (isinstance(node.func, ast.Attribute) and node.func.attr in COMMUTATIVE):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    if node.args:
        yield node.args[0]
    for keyword in node.keywords:
        yield ast.Call(node.func, node.args, [each for each in node.keywords if each is not keyword])


OPERANDS = {"x": "y", "y": "x", "a": "b", "b": "a", "g": "y", "z": "g", "low": "high", "high": "low", "w": "x"}


def operand(node: ast.AST) -> Iterator[ast.AST]:
    """The other operand, the output for the input, the output for the cotangent."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in OPERANDS:
        yield ast.Name(OPERANDS[node.id], ast.Load())


def returned(node: ast.AST) -> Iterator[ast.AST]:
    """A returned gradient that is missing, negated or doubled, or two of them swapped."""
    if isinstance(node, ast.Lambda):
        found = node.body
    elif isinstance(node, ast.Return) and node.value is not None:
        found = node.value
    else:
        return

    def changed(new: list[ast.expr]) -> ast.AST:
        made = ast.Tuple(new, ast.Load())
        return ast.Lambda(node.args, made) if isinstance(node, ast.Lambda) else ast.Return(made)

    entries = found.elts if isinstance(found, ast.Tuple) else []
    for i, entry in enumerate(entries):
        if not isinstance(entry, ast.Constant | ast.Starred):
            twice = ast.BinOp(ast.Constant(2), ast.Mult(), entry)
            for other in (ast.Constant(None), ast.UnaryOp(ast.USub(), entry), twice):
                yield changed([*entries[:i], other, *entries[i + 1 :]])
    if len(entries) >= 2:
        yield changed([entries[1], entries[0], *entries[2:]])


KINDS: tuple[Callable[[ast.AST], Iterator[ast.AST]], ...] = (
    arithmetic, constant, comparison, call, operand, returned,
)  # fmt: skip


def changes(code: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield each part of a formula with what it could wrongly be; annotations and keywords of zip are none."""
    left_out: set[int] = set()
    for node in ast.walk(code):
        hints = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        strict = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip"
        hints += node.keywords if strict else []
        hints += node.decorator_list if isinstance(node, ast.FunctionDef) else []
        left_out |= {id(part) for hint in hints if hint is not None for part in ast.walk(hint)}
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            # `x.shape` for `y.shape` is a change of its own, told apart from `x` for `y`.
            left_out.add(id(node.value))
            for other in operand(node.value):
                yield node, ast.Attribute(other, node.attr, ast.Load())
        if id(node) not in left_out:
            for kind in KINDS:
                yield from ((node, other) for other in kind(node))


def replaced(page: ast.Module, node: ast.AST, other: ast.AST) -> ast.Module:
    """Return a copy of a page with one node replaced."""

    def copied(found: Any) -> Any:
        if found is node:
            return copy.deepcopy(other)
        if isinstance(found, list):
            return [copied(each) for each in found]
        if not isinstance(found, ast.AST):
            return found
        new = copy.copy(found)
        for field, value in ast.iter_fields(found):
            setattr(new, field, copied(value))
        return new

    return ast.fix_missing_locations(copied(page))
