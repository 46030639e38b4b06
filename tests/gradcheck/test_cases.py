"""The corpus of wrong gradients is what it says: right where it says right, wrong where it says wrong."""

import functools
import pathlib
import sys

import jax
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

from gradcheck_cases.collection import CASES, CONTROLS, FAULTS, NETWORKS, OBJECTS, SET_OF, SETS
from gradcheck_cases.corpus import MISTAKES, cast, leaves

AT_A_KINK = ("kink/", "tie/", "lasso/", "svm_net_kinks/", "deep_convnet_kinks/")
ALL_CANCELS = (
    "least_squares/at_the_optimum",
    "least_squares/perfect_fit",
    "least_squares/optimum_float32",
    "saturated/sure_and_right",
)
AT_A_KINK_OR_RANDOM = (
    "layer/ReluAtZero",
    "layer/ReluAtZeroIsFlat",
    "layer/MaxPoolingWithTies",
    "layer/DropoutOfTheBook",
)
LAYERS = [case for case in OBJECTS if case.kind == "layer"]
NUMPY_NETWORKS = [case for case in OBJECTS if case.kind == "network"]
RULES = [case for case in OBJECTS if case.kind == "vjp"]


def pytest_generate_tests(metafunc):
    """All networks, faults and controls with --all-cases, else one of each sixth network: compiling takes minutes."""
    everything = metafunc.config.getoption("--all-cases")
    if "network" in metafunc.fixturenames:
        metafunc.parametrize("network", NETWORKS if everything else NETWORKS[::6], ids=lambda network: network.name)
    for name, cases in (("fault", FAULTS), ("control", CONTROLS)):
        if name in metafunc.fixturenames:
            # Those of other shapes, a batch of one among them, would have to be compiled again.
            alike = [case for case in cases if not case.id.endswith(("/batch_of_one", "/float32", "/inputs_all_zero"))]
            one_each = {case.id.split("/")[0]: case for case in alike}.values()
            chosen = cases if everything else list(one_each)[::6]
            metafunc.parametrize(name, chosen, ids=lambda case: case.id)


@functools.cache
def compiled(loss_fn):
    # The tests spend their time compiling, not running. Without any optimisation, though, XLA's gradient of a maximum
    # over windows, as jaxlib 0.10.1 has it, differs from that of every other level, and from finite differences.
    pools = loss_fn.__module__.endswith("loop_convnet")
    quickly = {"xla_backend_optimization_level": int(pools)}
    return jax.jit(jax.value_and_grad(loss_fn), compiler_options=quickly)


def derivative(loss_fn, params, args):
    with jax.enable_x64(True):
        params, args = cast((params, args), np.float64)
        value, grads = compiled(loss_fn)(params, *args)
    return float(value), leaves(grads)


def largest(array):
    return np.max(np.abs(array), initial=0)


def differ(given, expected, tolerance, floor=1e-300):
    return any(
        g.shape != e.shape or largest(g - e) > tolerance * max(largest(e), floor)
        for g, e in zip(given, expected, strict=True)
    )


def test_the_gradient_by_hand_is_right(network):
    params, args = network.example()
    given = leaves(network.grads(params, *args))
    _, expected = derivative(network.loss_fn, params, args)
    # A bias before a normalisation has a gradient of nothing but rounding.
    assert not differ(given, expected, 1e-9, floor=1e-3 * max(map(largest, expected)))


def test_a_fault_is_a_fault(fault):
    assert fault.mistakes
    assert fault.mistakes <= set(MISTAKES)
    assert fault.gradient.__doc__
    assert fault.markers is None or fault.lines()
    loss, expected = derivative(fault.network.loss_fn, *fault.example())
    wrong_gradient = differ(leaves(fault.values()), expected, 1e-3 if fault.options.single else 1e-6)
    wrong_loss = fault.loss is not None and abs(fault.loss_value() - loss) > 1e-6 * abs(loss)
    assert wrong_gradient or wrong_loss


def test_a_control_is_right(control):
    if control.id.startswith(AT_A_KINK):
        pytest.skip("any slope between the one-sided ones is right")
    if control.id in ALL_CANCELS:
        pytest.skip("nothing but rounding is left of the gradient")
    params, args = control.example()
    _, expected = derivative(control.loss_fn, params, args)
    single = any(leaf.dtype != np.float64 for leaf in (*leaves(params), *leaves(control.values())))
    size = max(map(largest, expected))
    assert not differ(leaves(control.values()), expected, 1e-2 if single else 1e-9, floor=1e-3 * size + 1e-12)


def numerical(layer, inputs, douts):
    """Central differences of Σ dout · forward by every input and parameter."""
    names = [name for name in vars(layer) if isinstance(getattr(layer, name), np.ndarray)]
    names = [name for name in ("w", "b", "gamma", "beta") if name in names]
    arrays = {i: x for i, x in enumerate(inputs) if x.dtype.kind == "f"} | {n: getattr(layer, n) for n in names}

    def value():
        return float(np.sum(layer.forward(*[x.copy() for x in inputs]) * douts))

    result = {}
    for key, array in arrays.items():
        result[key] = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            saved = array[index]
            sides = []
            for step in (1e-6, -1e-6):
                array[index] = saved + step
                sides.append(value())
            array[index] = saved
            result[key][index] = (sides[0] - sides[1]) / 2e-6
    return result


def backward_values(layer, dout):
    dx = layer.backward(dout.copy())
    given = dict(enumerate(dx if isinstance(dx, tuple) else (dx,)))
    given |= {name: getattr(layer, f"d{name}") for name in ("w", "b", "gamma", "beta") if hasattr(layer, f"d{name}")}
    return {key: np.array(value) for key, value in given.items() if value is not None}


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
def test_a_layer_is_as_right_or_wrong_as_it_says(case):
    layer, inputs = case.make()
    kept = [x.copy() for x in inputs]
    out = layer.forward(*inputs)
    changed = any(not np.array_equal(x, k) for x, k in zip(inputs, kept, strict=True))
    dout = np.random.default_rng(1).normal(size=np.shape(out))
    passed = dout.copy()
    layer.backward(passed)
    changed |= not np.array_equal(passed, dout)
    first, second = (backward_values(layer, dout) for _ in range(2))
    changed |= any(not np.array_equal(first[key], second[key]) for key in first)
    single = inputs[0].dtype == np.float32
    expected = numerical(*case.make()[:1], kept, dout) if not single else {}
    wrong = any(differ([first[key]], [value], 1e-5) for key, value in expected.items() if key in first)
    if case.id in AT_A_KINK_OR_RANDOM:
        wrong = False
    assert (wrong or changed) is case.is_wrong


@pytest.mark.parametrize("case", NUMPY_NETWORKS, ids=lambda case: case.id)
def test_a_network_is_as_right_or_wrong_as_it_says(case):
    net, (x, t) = case.make()
    given = {key: np.array(value) for key, value in net.gradient(x, t).items()}
    expected = {}
    for key, param in net.params.items():
        expected[key] = np.zeros(param.shape)
        for index in np.ndindex(param.shape):
            saved, sides = param[index], []
            for step in (1e-6, -1e-6):
                param[index] = saved + step
                sides.append(net.loss(x, t))
            param[index] = saved
            expected[key][index] = (sides[0] - sides[1]) / 2e-6
    wrong = differ([given[key] for key in expected], list(expected.values()), 1e-5, floor=1e-3)
    assert wrong is case.is_wrong


@pytest.mark.parametrize("case", RULES, ids=lambda case: case.id)
def test_a_rule_is_as_right_or_wrong_as_it_says(case):
    f, args = case.make()
    with jax.enable_x64(True):
        out, by_rule = jax.vjp(f, *args)
        _, by_jax = jax.vjp(f.__wrapped__, *args)
        g = np.random.default_rng(1).normal(size=out.shape)
        wrong = differ(leaves(by_rule(g)), leaves(by_jax(g)), 1e-9)
    assert wrong is (case.is_wrong or case.id == "vjp/round_straight_through")


@pytest.mark.parametrize("case", OBJECTS, ids=lambda case: case.id)
def test_an_object_names_known_mistakes_and_existing_lines(case):
    assert case.mistakes <= set(MISTAKES)
    assert bool(case.lines()) is case.is_wrong


def test_no_two_cases_share_an_id():
    assert len(CASES) == len(FAULTS) + len(CONTROLS) + len(OBJECTS)


def test_every_mistake_occurs():
    assert {mistake for fault in FAULTS for mistake in fault.mistakes} == set(MISTAKES)


def test_every_case_came_with_a_set():
    assert set(SET_OF) == set(CASES)
    assert SETS[0] == "first"
