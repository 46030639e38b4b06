"""From a JAX function to a `Program`: traced, evaluated in float64, each operation with the user's line."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from functional_nets.backprop.rules import RULES
from functional_nets.backprop.values import VALUES
from functional_nets.equations import CALLS, Location, called_jaxpr, user_frames, user_line
from functional_nets.gradcheck.program import DECOMPOSITIONS, Call, Foreign, Node, Program, compute, is_real

NAMED_RULES = {"relu", "relu6", "logaddexp", "logaddexp2"}
"""Functions of JAX with a derivative of their own at a kink or a tie, taken as one operation."""


def to_float64(tree: Any) -> Any:
    """Returns the tree with its real arrays as float64 and everything else as it was."""

    def widen(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        array = np.asarray(leaf)
        if array.dtype.kind == "c":
            return array.astype(np.complex128)
        return array.astype(np.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(widen, tree)


def trace(loss_fn: Callable[..., Any], params: Any, *args: Any) -> Program:
    """Returns the program of `loss_fn(params, *args)`, evaluated in float64 whatever the types given.

    `jit`, `remat`, `custom_jvp`, `custom_vjp` (as what it computes), `cond`, `scan` and `while` are entered.

    Raises:
        ValueError: When the loss is no real scalar, or no parameter holds floats.
    """
    with jax.enable_x64(True):
        params, args = to_float64((params, args))
        _refuse_integers(params)

        def anew(*inputs: Any) -> Any:
            return loss_fn(*inputs)  # Itself it would be called once: JAX keeps traces, though closures change.

        closed, shape = jax.make_jaxpr(anew, return_shape=True)(params, *args)
        outputs = jax.tree.leaves(shape)
        if len(outputs) != 1 or outputs[0].shape != ():
            found = ", ".join(f"{out.dtype} {list(out.shape)}" for out in outputs)
            raise ValueError(
                f"Expected a loss that returns one scalar, found {found or 'nothing'}: "
                "take the mean or the sum, and return no second value."
            )
        if not jnp.issubdtype(outputs[0].dtype, jnp.floating):
            raise ValueError(f"Expected a loss that returns one real number, found {outputs[0].dtype}.")
        tracer = _Tracer()
        leaves = [tracer.new(leaf) for leaf in jax.tree.leaves(params)]
        arguments = [tracer.new(leaf) for leaf in jax.tree.leaves(args)]
        constants = [tracer.new(to_float64(constant)) for constant in closed.consts]
        (result,) = tracer.inline(closed.jaxpr, constants, leaves + arguments, None)
    return Program(
        tuple(tracer.nodes), tracer.values, tuple(leaves), tuple(arguments), result,
        tracer.epsilon, tuple(dict.fromkeys(tracer.notes)), tuple(tracer.calls),
    )  # fmt: skip


def _refuse_integers(params: Any) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if leaves and not any(is_real(leaf) for _, leaf in leaves):
        path, leaf = leaves[0]
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "params"
        raise ValueError(
            f"Expected parameters of floating-point numbers, found {leaf.dtype} in {name!r}: an integer "
            "cannot change a little, so it has no gradient. Convert the parameters to floats."
        )


class _Tracer:
    """Appends to one list of nodes and one list of values while it goes through a jaxpr."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.epsilon = 2.0**-53
        self.notes: list[str] = []
        self.calls: list[Call] = []
        self.stack: tuple[Location, ...] = ()
        self.scope = ""

    def new(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def apply(
        self, op: str, inputs: Sequence[int], params: dict[str, Any], where: Location | None, equation: Any = None
    ) -> tuple[int, ...]:
        """Appends an operation that the tables know."""
        return self._append(Node(op, tuple(inputs), (), params, where, equation=equation))

    def _append(self, node: Node) -> tuple[int, ...]:
        with np.errstate(all="ignore"):
            found = compute(node, [self.values[number] for number in node.inputs])
        outputs = tuple(self.new(value) for value in found)
        self.nodes.append(node._replace(outputs=outputs, stack=self.stack, scope=self.scope))
        return outputs

    def inline(
        self, jaxpr: core.Jaxpr, constants: Sequence[int], arguments: Sequence[int], where: Location | None
    ) -> list[int]:
        """Appends the equations of a jaxpr; an equation without a user's line has that of its caller."""
        numbers: dict[core.Var, int] = {}
        numbers.update(zip(jaxpr.constvars, constants, strict=True))
        numbers.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> int:
            return self.new(to_float64(atom.val)) if hasattr(atom, "val") else numbers[atom]

        stack, scope = self.stack, self.scope
        for equation in jaxpr.eqns:
            self.stack = stack + user_frames(equation, tracer=__file__)
            self.scope = "/".join(filter(None, (scope, str(equation.source_info.name_stack))))
            inputs = [read(atom) for atom in equation.invars]
            for variable in equation.outvars:
                dtype = getattr(variable.aval, "dtype", None)
                if dtype is not None and jnp.issubdtype(dtype, jnp.inexact):
                    self.epsilon = max(self.epsilon, float(jnp.finfo(dtype).eps) / 2)
            outputs = self.equation(equation, inputs, user_line(equation, where, tracer=__file__))
            numbers.update(zip(equation.outvars, outputs, strict=True))
        self.stack, self.scope = stack, scope
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[int], where: Location | None) -> Sequence[int]:
        op, params = equation.primitive.name, equation.params
        if op in CALLS:
            return self.call(equation, inputs, where)
        if op == "cond":
            which = int(self.values[inputs[0]])
            return self.closed(params["branches"][which], inputs[1:], where)
        if op == "scan":
            return self.scan(equation, inputs, where)
        if op == "while":
            return self.while_loop(params, inputs, where)
        known = op in VALUES
        if known and (op in RULES or not self._real(inputs)):
            return self.apply(op, inputs, params, where, equation)
        node = Node(op, tuple(inputs), (), params, where, _foreign(equation), equation)
        outputs = self._append(node)
        if self._real(inputs) and self._real(outputs):
            self.notes.append(f"{op} has no rule of its own here: its part of the walk is jax.vjp's.")
        return outputs

    def closed(self, closed: core.ClosedJaxpr, inputs: Sequence[int], where: Location | None) -> list[int]:
        return self.inline(closed.jaxpr, [self.new(to_float64(c)) for c in closed.consts], inputs, where)

    def call(self, equation: Any, inputs: list[int], where: Location | None) -> Sequence[int]:
        params = equation.params
        inner = called_jaxpr(params)
        jaxpr = getattr(inner, "jaxpr", inner)
        if "jvp_jaxpr_fun" in params:
            name = jaxpr.debug_info.func_name
            if name in NAMED_RULES and name in RULES:
                return self.apply(name, inputs, {}, where, equation)
        if where and "name" in params:
            self.stack += (Location(where.file, where.line, params["name"]),)
        first = len(self.nodes)
        whole = hasattr(inner, "consts")
        outputs = self.closed(inner, inputs, where) if whole else self.inline(inner, [], inputs, where)
        if equation.primitive.name.startswith("custom_") or self._decomposes(first, where):
            name = jaxpr.debug_info.func_name
            self.calls.append(Call(name, first, len(self.nodes), tuple(inputs), tuple(outputs), where, equation))
        return outputs

    def _decomposes(self, first: int, where: Location | None) -> bool:
        """Whether the nodes from here on are one routine of linear algebra, all on its caller's line."""
        inside = self.nodes[first:]
        return any(node.op in DECOMPOSITIONS for node in inside) and all(node.where == where for node in inside)

    def scan(self, equation: Any, inputs: list[int], where: Location | None) -> list[int]:
        params, body = equation.params, equation.params["jaxpr"]
        # What is stacked has an axis more outside than inside; the params that say so changed with JAX 0.12.
        num_stacked = sum(_ranks(equation.invars) > _ranks(body.in_avals))
        num_carry = len(equation.outvars) - sum(_ranks(equation.outvars) > _ranks(body.out_avals))
        num_constants = len(inputs) - num_stacked - num_carry
        constants, carry = inputs[:num_constants], inputs[num_constants : num_constants + num_carry]
        stacked = inputs[num_constants + num_carry :]
        order = range(params["length"])
        rows: list[list[int]] = []
        for step in reversed(order) if params["reverse"] else order:
            slices = [self.apply("take", [xs], {"index": (step,)}, where)[0] for xs in stacked]
            outputs = self.closed(body, [*constants, *carry, *slices], where)
            carry, row = outputs[:num_carry], outputs[num_carry:]
            rows.append(row)
        if params["reverse"]:
            rows.reverse()
        if not rows:
            empty = [np.zeros(variable.aval.shape) for variable in equation.outvars[num_carry:]]
            return [*carry, *map(self.new, empty)]
        return [*carry, *(self.apply("stack", column, {"axis": 0}, where)[0] for column in zip(*rows, strict=True))]

    def while_loop(self, params: dict[str, Any], inputs: list[int], where: Location | None) -> list[int]:
        test_constants = inputs[: params["cond_nconsts"]]
        body_constants = inputs[params["cond_nconsts"] : params["cond_nconsts"] + params["body_nconsts"]]
        state = inputs[params["cond_nconsts"] + params["body_nconsts"] :]
        while True:
            (test,) = self.closed(params["cond_jaxpr"], [*test_constants, *state], where)
            if not bool(self.values[test]):
                return state
            state = self.closed(params["body_jaxpr"], [*body_constants, *state], where)

    def _real(self, numbers: Sequence[int]) -> bool:
        return any(is_real(self.values[number]) for number in numbers)


def _ranks(variables: Sequence[Any]) -> np.ndarray:
    """Returns the number of axes of each variable or abstract value."""
    return np.array([len(getattr(variable, "aval", variable).shape) for variable in variables], int)


def _foreign(equation: Any) -> Foreign:
    """Returns a primitive's value and pullback as JAX has them, for what the tables do not know."""

    def value(*inputs: Any) -> Any:
        with jax.enable_x64(True):
            found = equation.primitive.bind(*map(_to_jax, inputs), **equation.params)
            return jax.tree.map(_to_numpy, found)

    def pullback(g: Any, *inputs: Any) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            real = [i for i, x in enumerate(inputs) if getattr(x, "dtype", None) in (np.float64, np.complex128)]

            def of_real(*parts: Any) -> Any:
                whole = list(map(_to_jax, inputs))
                for i, part in zip(real, parts, strict=True):
                    whole[i] = part
                found = equation.primitive.bind(*whole, **equation.params)
                return tuple(found) if equation.primitive.multiple_results else found

            out, vjp = jax.vjp(of_real, *(jnp.asarray(inputs[i]) for i in real))
            g = (g,) if isinstance(out, tuple) and not isinstance(g, tuple) else g  # One output comes alone.
            g = jax.tree.map(lambda x, each: jnp.asarray(each, x.dtype), out, g)
            found = dict(zip(real, map(np.asarray, vjp(g)), strict=True))
        return tuple(found.get(i) for i in range(len(inputs)))

    return Foreign(value, pullback)


def _to_jax(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else jnp.asarray(value)


def _to_numpy(value: Any) -> Any:
    return value if jnp.issubdtype(value.dtype, jax.dtypes.prng_key) else np.asarray(value)
