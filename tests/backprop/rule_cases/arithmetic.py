"""Cases of the elementwise primitives."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import primitives

from tests.backprop.rule_cases.case import Case, integers, normal, uniform

A, B, S = normal(3, 4), normal(3, 4, seed=1), normal(seed=2)
POSITIVE, INNER, ABOVE = uniform(0.3, 3, 3, 4), uniform(-0.95, 0.95, 3, 4), uniform(1.1, 4, 3, 4)
Z = normal(3, 2) + 1j * normal(3, 2, seed=1)
TIES = np.array([[0.0, 1.0, -1.0, 2.0], [0.0, 2.0, -1.0, 1.0]])
SPECIAL = np.array([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan])


def unary(name, function, x=A, **options):
    shapes = x, x.reshape(-1)[0], x[:0], x[:1, :1]
    return [Case(name, part, function=function, compiled=part is x, **options) for part in shapes]


def binary(name, function, a=A, b=B, **options):
    shapes = (a, b), (a, b[0, 0]), (a[0, 0], b), (a[0, 0], b[0, 0]), (a[:0], b[:0]), (a[:, :1], b[:, :1])
    # JAX does not broadcast axes within one primitive; NumPy code on the tape does.
    stretched = (a[:, :1], b[:1]), (a[0], b), (a[:1], b[None])
    return [
        *(Case(name, *pair, function=function, compiled=i < 2, **options) for i, pair in enumerate(shapes)),
        *(Case(name, *pair, label="stretched", **options) for pair in stretched),
    ]


def silent(name, function):
    return [Case(name, a, b, function=function, smooth=False) for a, b in ((A, B), (TIES[0], TIES[1]), (A, S), (P, Q))]


def functions(name, reference):
    pairs = (A, B), (A, B[:1]), (A[:, :1], S), (400 * A, 400 * B), (A, A)
    return [Case(name, *pair, label=f"{i}", reference=reference) for i, pair in enumerate(pairs)]


def later(name):
    """A function that an older JAX lacks: None, and differences check the rule alone."""
    return getattr(lax, name, None)


def polynomial(x, *coefficients):
    return primitives.polynomial_p.bind(x, *coefficients)


if not hasattr(primitives, "polynomial_p"):
    polynomial = None

P, Q = integers(1, 19, 3, 4), integers(1, 19, 3, 4, seed=1)
SHIFTS = np.array([[0, 1, 5, 31], [32, 33, 63, 64], [7, 2, 1, 0]])
HALVES = np.array([-2.5, -1.5, -0.5, -0.2, 0.5, 0.7, 1.5, 2.5, 3.0])
BITWISE = [("and", lax.bitwise_and), ("or", lax.bitwise_or), ("xor", lax.bitwise_xor)]
SHIFTERS = [
    ("shift_left", lax.shift_left),
    ("shift_right_logical", lax.shift_right_logical),
    ("shift_right_arithmetic", lax.shift_right_arithmetic),
]
COUNTERS = [("population_count", lax.population_count), ("clz", lax.clz)]
INTEGER = [
    ("add", lax.add),
    ("mul", lax.mul),
    ("div", lax.div),
    ("rem", lax.rem),
    ("max", lax.max),
    ("min", lax.min),
]


CASES = [
    *binary("add", lax.add),
    *binary("add_any", primitives.add_jaxvals_p.bind)[:1],
    *binary("sub", lax.sub),
    *binary("mul", lax.mul),
    *binary("div", lax.div),
    Case("div", A, np.zeros((3, 4)), label="by zero", function=lax.div, smooth=False),
    *binary("rem", lax.rem, 3 * A, B),
    *binary("pow", lax.pow, POSITIVE, B),
    Case("pow", A, integers(0, 4, 3, 4), label="integer exponents", function=lax.pow),
    Case("pow", np.zeros(4), np.arange(4), label="integer exponents of zero", function=lax.pow),
    Case("pow", np.zeros(4), np.array([0.0, 1.0, 2.0, 0.5]), label="zero", function=lax.pow, smooth=False),
    Case("pow", A, np.array(-2), label="integer exponent", function=lax.pow),
    *(
        Case("integer_pow", A, label=f"{n}", function=lambda x, n=n: lax.integer_pow_p.bind(x, y=n))
        for n in (-3, -1, 0, 1, 2, 3, 5)
    ),
    Case("integer_pow", np.zeros(3), label="0 at 0", function=lambda x: lax.integer_pow_p.bind(x, y=0)),
    Case("integer_pow", np.zeros(3), label="1 at 0", function=lambda x: lax.integer_pow_p.bind(x, y=1)),
    *unary("neg", lax.neg),
    *unary("abs", lax.abs),
    Case("abs", np.array([0.0, -0.0]), label="tie", function=lax.abs, smooth=False),
    *unary("square", lax.square),
    *unary("sqrt", lax.sqrt, POSITIVE),
    Case("sqrt", np.zeros(2), label="at zero", function=lax.sqrt, smooth=False),
    *unary("rsqrt", lax.rsqrt, POSITIVE),
    *unary("cbrt", lax.cbrt),
    *unary("exp", lax.exp),
    *unary("exp2", lax.exp2),
    *unary("expm1", lax.expm1),
    Case("expm1", np.array([1e-9, -1e-9, -40.0]), label="extreme", function=lax.expm1),
    *unary("log", lax.log, POSITIVE),
    *unary("log2", later("log2"), POSITIVE),
    *unary("log1p", lax.log1p, POSITIVE),
    Case("log1p", np.array([1e-9, -1e-9, 1e9]), label="extreme", function=lax.log1p),
    *unary("logistic", lax.logistic),
    Case("logistic", np.array([-40.0, 30.0, 0.0]), label="extreme", function=lax.logistic),
    *unary("tanh", lax.tanh),
    Case("tanh", np.array([-15.0, 12.0, 0.0]), label="extreme", function=lax.tanh),
    *unary("erf", lax.erf),
    *unary("erfc", lax.erfc),
    Case("erfc", np.array([5.0, 20.0, -5.0]), label="extreme", function=lax.erfc, smooth=False),
    *unary("erf_inv", lax.erf_inv, INNER),
    *unary("lgamma", lax.lgamma, POSITIVE),
    *unary("digamma", lax.digamma, POSITIVE),
    *(Case("polygamma", np.float64(m), POSITIVE, function=lax.polygamma, fixed=(0,)) for m in (0, 1, 2, 3)),
    *unary("sin", lax.sin),
    *unary("cos", lax.cos),
    *unary("tan", lax.tan, INNER),
    *unary("asin", lax.asin, INNER),
    *unary("acos", lax.acos, INNER),
    *unary("atan", lax.atan),
    *binary("atan2", lax.atan2),
    *unary("sinh", lax.sinh),
    *unary("cosh", lax.cosh),
    *unary("asinh", lax.asinh),
    *unary("acosh", lax.acosh, ABOVE),
    *unary("atanh", lax.atanh, INNER),
    *binary("max", lax.max),
    *binary("min", lax.min),
    Case("max", TIES[0], TIES[1], label="tie", function=lax.max, smooth=False),
    Case("min", TIES[0], TIES[1], label="tie", function=lax.min, smooth=False),
    Case("max", SPECIAL, SPECIAL[::-1], label="special", function=lax.max, smooth=False),
    Case("min", SPECIAL, SPECIAL[::-1], label="special", function=lax.min, smooth=False),
    Case("clamp", -0.5, A, 0.6, function=lax.clamp, unknown=(0, 2)),
    Case("clamp", B - 1, A, B, function=lax.clamp),
    Case("clamp", B + 0.1, A, B - 0.1, label="bounds crossed", function=lax.clamp, smooth=False),
    Case("clamp", 0 * TIES + 1, TIES, 0 * TIES + 1, label="equal bounds", function=lax.clamp, smooth=False),
    Case("clamp", 0 * TIES, TIES, 0 * TIES + 1, label="tie", function=lax.clamp, smooth=False),
    Case("clamp", 0.0, TIES, 1.0, label="tie", function=lax.clamp, unknown=(0, 2), smooth=False),
    Case("select_n", A > 0, A, B, function=lax.select_n),
    Case("select_n", np.array(True), A, B, label="scalar", function=lax.select_n),
    Case("select_n", np.array([0, 2, 1, 2], np.int32), A[0], B[0], A[1], label="three", function=lax.select_n),
    Case("select_n", np.zeros(4, np.int32), A[0], label="one", function=lax.select_n),
    *unary("one_minus_square", later("one_minus_square")),
    Case("polynomial", A, B, B[::-1], label="linear", function=polynomial),
    Case("polynomial", A, B, 2.0, B[::-1], B[:, ::-1], label="cubic", function=polynomial),
    Case("polynomial", A, B, label="constant", function=polynomial),
    Case("polynomial", A, 2.0, label="constant", function=polynomial, compiled=False),
    Case("real", Z, function=lax.real),
    Case("imag", Z, function=lax.imag),
    *binary("complex", lax.complex),
    Case("conj", A, function=lax.conj),
    Case("conj", Z, function=lax.conj),
    *(
        Case(name, Z, Z[::-1], label="complex", function=function)
        for name, function in (("mul", lax.mul), ("div", lax.div), ("sub", lax.sub))
    ),
    *(
        Case(name, Z, label="complex", function=function)
        for name, function in (("exp", lax.exp), ("log", lax.log), ("sin", lax.sin), ("tanh", lax.tanh))
    ),
    Case("abs", Z, label="complex", function=lax.abs),
    Case("abs", np.array([0j, 1 + 1j]), label="complex zero", function=lax.abs, smooth=False),
    *silent("eq", lax.eq),
    *silent("ne", lax.ne),
    *silent("lt", lax.lt),
    *silent("le", lax.le),
    *silent("gt", lax.gt),
    *silent("ge", lax.ge),
    *(
        Case(name, *np.meshgrid(SPECIAL, SPECIAL), function=getattr(primitives, f"{name}_p").bind, smooth=False)
        for name in ("eq_to", "le_to", "lt_to")
    ),
    Case("is_finite", SPECIAL, function=lax.is_finite, smooth=False),
    Case("sign", SPECIAL, function=lax.sign, smooth=False),
    Case("sign", Z, label="complex", function=lax.sign, unknown=(0,)),
    Case("floor", HALVES, function=lax.floor, smooth=False),
    Case("ceil", HALVES, function=lax.ceil, smooth=False),
    *(
        Case(
            "round",
            HALVES,
            label=method.name,
            function=lambda x, method=method: lax.round(x, method),
            smooth=False,
        )
        for method in lax.RoundingMethod
    ),
    Case("nextafter", A, B, function=lax.nextafter, fixed=(0, 1), smooth=False),
    *(Case(name, P, Q, function=function) for name, function in BITWISE),
    *(Case(name, P > 9, Q > 9, label="bool", function=function) for name, function in BITWISE),
    Case("not", P, function=lax.bitwise_not),
    Case("not", P > 9, label="bool", function=lax.bitwise_not),
    *(
        Case(name, a, SHIFTS.astype(a.dtype), function=function)
        for a in (P - 9, P.astype(np.uint32) * np.uint32(2**27))
        for name, function in SHIFTERS
    ),
    *(Case(name, a, function=function) for a in (P - 9, P.astype(np.uint8)) for name, function in COUNTERS),
    *(
        Case(name, a, b, label=f"{a.dtype}", function=function)
        for name, function in INTEGER
        for a, b in ((9 * (P - 9), Q - 20), (9 * (P - 9), Q), ((9 * P).astype(np.uint8), Q.astype(np.uint8)))
    ),
    *silent("le_to", primitives.le_to_p.bind)[-1:],
    Case("mulhi", P, Q, function=None, valued=False),
    Case(
        "bitcast_convert_type",
        A,
        label="to integers",
        function=lambda x: lax.bitcast_convert_type(x, np.int64),
        smooth=False,
    ),
    Case(
        "bitcast_convert_type",
        P.astype(np.int32) * 2**22,
        label="to floats",
        unknown=(0,),
        function=lambda x: lax.bitcast_convert_type(x, np.float32),
    ),
    Case(
        "bitcast_convert_type",
        A.astype(np.float32).astype(float),
        label="of narrower floats",
        params={"new_dtype": np.dtype(np.uint32)},
        smooth=False,
        reference=lambda x: lax.bitcast_convert_type(x.astype(np.float32), np.uint32),
    ),
    Case("stop_gradient", A, function=primitives.stop_gradient_p.bind, smooth=False),
    *functions("logaddexp", jnp.logaddexp),
    *functions("logaddexp2", jnp.logaddexp2),
    Case(
        "logaddexp",
        *np.meshgrid(SPECIAL[:5], SPECIAL[:5]),
        label="infinite",
        reference=jnp.logaddexp,
        smooth=False,
    ),
    *(
        Case(name, x, label=label, reference=reference, smooth=not label)
        for name, reference in (("relu", jax.nn.relu), ("relu6", jax.nn.relu6))
        for x, label in ((4 * A, ""), (np.array([0.0, -0.0, 6.0, 7.0]), "tie"))
    ),
]
