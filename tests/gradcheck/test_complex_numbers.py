"""Complex parameters and arguments: gradients in JAX's convention, against closed forms."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import check, check_vjp
from functional_nets.gradcheck.complex_numbers import in_pairs, slopes
from functional_nets.gradcheck.program import active_nodes, gradient, walk
from functional_nets.gradcheck.trace import trace
from functional_nets.gradcheck.witnesses import difference
from tests.gradcheck.agreement import QUICKLY, walked

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape) + 1j * RANDOM.normal(size=shape)


Z, C, A, B = normal(3, 4), normal(3, 4), normal(4, 2), normal(3, 2)

# A loss of z, and ∂L/∂x - i ∂L/∂y: the factor of dz in dL = Re(Σ g dz).
CLOSED_FORMS = {
    "abs": (lambda z: jnp.sum(jnp.abs(z)), lambda z: np.conj(z) / np.abs(z)),
    "square of abs": (lambda z: jnp.sum(jnp.abs(z) ** 2), lambda z: 2 * np.conj(z)),
    "real and imag": (lambda z: jnp.sum(jnp.real(z) * jnp.imag(z)), lambda z: z.imag - 1j * z.real),
    "conj": (lambda z: jnp.sum(jnp.real(C * jnp.conj(z))), lambda z: np.conj(C)),
    "angle": (lambda z: jnp.sum(jnp.angle(z)), lambda z: -1j / z),
    "mul": (lambda z: jnp.sum(jnp.imag(C * z * z)), lambda z: -2j * C * z),
    "div": (lambda z: jnp.sum(jnp.real(C / z)), lambda z: -C / z**2),
    "power": (lambda z: jnp.sum(jnp.imag(z**3)), lambda z: -3j * z**2),
    "exp": (lambda z: jnp.sum(jnp.real(jnp.exp(C * z))), lambda z: C * np.exp(C * z)),
    "log": (lambda z: jnp.sum(jnp.real(C * jnp.log(z))), lambda z: C / z),
    "sign": (lambda z: jnp.sum(jnp.real(jnp.sign(z))), lambda z: 1j * z.imag / np.abs(z) / z),
    "matmul": (lambda z: jnp.sum(jnp.real(B * (z @ A))), lambda z: B @ A.T),
    "hermitian": (lambda z: jnp.sum(jnp.abs(z @ A) ** 2), lambda z: 2 * np.conj(z @ A) @ A.T),
    "fft": (lambda z: jnp.sum(jnp.abs(jnp.fft.fft(z)) ** 2), lambda z: 2 * 4 * np.conj(z)),
    "made of real ones": (lambda z: jnp.sum(jax.lax.complex(z.imag, z.real).imag * C.real), lambda z: C.real + 0j),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_walk_gives_the_closed_form(name):
    loss, closed = CLOSED_FORMS[name]
    np.testing.assert_allclose(walked(trace(loss, Z))[0], closed(Z), rtol=1e-12, atol=1e-12)
    assert check(loss, Z, manual=closed).ok


@pytest.mark.parametrize("name", [name for name in CLOSED_FORMS if name not in ("sign", "made of real ones")])
def test_the_conjugate_is_another_convention_and_the_report_says_so(name):
    loss, closed = CLOSED_FORMS[name]
    report = check(loss, Z, manual=np.conj(closed(Z)))
    assert not report.ok
    assert [cause.mistake for cause in report.causes] == ["sign"]
    assert "PyTorch's convention ∂L/∂x + i ∂L/∂y" in str(report)


def network(params, z):
    y = jnp.tanh(z @ params["w"]) * params["scale"] + 1j * params["shift"]
    return jnp.mean(jnp.abs(y) ** 2) + jnp.mean(jnp.real(jnp.exp(0.1 * y)) * jnp.angle(y + 5))


PARAMS = {"w": A, "scale": RANDOM.normal(size=2), "shift": np.array(0.4)}
RIGHT = dict(zip(sorted(PARAMS), walked(trace(network, PARAMS, Z)), strict=True))


def test_all_witnesses_agree_on_complex_and_real_parameters_together():
    report = check(network, PARAMS, Z, order=2, forward=True, batched=True)
    assert report.ok
    assert report.witnesses["jax.grad"] < 1e-12
    assert report.witnesses["finite differences"] < 1e-6
    assert report.witnesses["second order"] < 1e-8
    assert report.witnesses["forward mode"] < 1e-12


def test_single_precision_has_the_tolerance_that_its_rounding_needs():
    params, z = jax.tree.map(lambda x: x.astype(np.complex64 if x.dtype.kind == "c" else np.float32), (PARAMS, Z))
    given = jax.jit(jax.grad(network), compiler_options=QUICKLY)(params, z)
    assert given["w"].dtype == np.complex64
    report = check(network, params, z, manual=given)
    assert report.ok
    assert max(leaf.relative_error for leaf in report.leaves) > 1e-9
    assert not check(network, params, z, manual={**given, "w": given["w"] + 1e-3j}).ok


def test_a_narrow_complex_type_alone_has_its_tolerance():
    """The direction of a difference that nearly cancels has few digits."""

    def loss(z):
        return jnp.sum(jnp.abs(1.1 * z - C))

    z = (C / 1.1 + 1e-4 * Z).astype(np.complex64)
    given = jax.jit(jax.grad(loss), compiler_options=QUICKLY)(z)
    report = check(loss, z, manual=given)
    assert report.ok
    assert report.leaves[0].relative_error > 1e-5
    assert not check(loss, Z.astype(np.complex64), manual=walked(trace(loss, Z))[0] + 1e-4).ok


def test_a_loss_that_narrows_complex_numbers_by_itself():
    report = check(lambda z: jnp.sum(jnp.exp(z.astype(np.complex64)).astype(complex)).real, Z)
    assert report.ok
    assert report.leaves[0].relative_error > 1e-10


def test_differences_move_real_and_imaginary_parts():
    loss, closed = CLOSED_FORMS["power"]
    measured = difference(loss, [closed(Z)], Z)
    assert abs(measured.slope) > 1
    assert measured.measured == pytest.approx(measured.slope, rel=1e-8)
    assert abs(difference(loss, [closed(Z).conj()], Z).slope - measured.measured) > 1


def test_the_sign_of_zero_has_no_gradient():
    (found,) = walked(trace(lambda z: jnp.sum(jnp.real(jnp.sign(z))), np.array([0, 1j])))
    np.testing.assert_allclose(found, [0, 1], atol=1e-15)


@pytest.mark.parametrize(
    ("change", "mistake", "text"),
    [
        (np.conj, "sign", "PyTorch's convention"),
        (lambda g: g / 2, "scale", "Wirtinger derivative"),
        (lambda g: np.conj(g) / 2, "sign", "Wirtinger derivative by the conjugate"),
        (np.real, "missing_term", "real part alone"),
        (lambda g: 3 * g, "scale", "3 times what it should be"),
        (np.negative, "sign", "the sign is flipped"),
        (lambda g: g.T, "transposed", "expected [4, 2], found [2, 4]"),
    ],
)
def test_a_wrong_complex_gradient_is_explained(change, mistake, text):
    report = check(network, PARAMS, Z, manual={**RIGHT, "w": change(RIGHT["w"])})
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["w"]
    assert report.causes[0].mistake == mistake
    assert report.causes[0].leaves == ("w",)
    assert text in report.causes[0].message


def test_a_real_leaf_may_be_wrong_beside_a_conjugate():
    report = check(network, PARAMS, Z, manual={**RIGHT, "w": np.conj(RIGHT["w"]), "scale": -RIGHT["scale"]})
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["scale", "w"]
    assert {leaf for cause in report.causes[:2] for leaf in cause.leaves} == {"scale", "w"}


def test_a_kink_excuses_no_conjugate():
    def loss(p):
        return jnp.sum(jax.nn.relu(p["x"])) + jnp.sum(jnp.abs(p["z"]) ** 2)

    params = {"x": np.array([0.0, 1.0]), "z": Z}
    at_kink = {"x": np.ones(2), "z": 2 * np.conj(Z)}
    assert check(loss, params, manual=at_kink).ok
    report = check(loss, params, manual={**at_kink, "z": 2 * Z})
    assert not report.ok
    assert report.causes[0].mistake == "sign"


def test_a_custom_rule_may_be_meant():
    halved = jax.custom_vjp(lambda z: 1.0 * z)
    halved.defvjp(lambda z: (z, None), lambda _, g: (0.25 * g,))
    report = check(lambda z: jnp.sum(jnp.abs(halved(z)) ** 2), Z, manual=0.5 * np.conj(Z))
    assert report.ok
    assert "custom rule" in report.notes[-1]


def test_a_mistake_in_a_real_gradient_is_found_through_complex_operations():
    def loss(w):
        return jnp.mean(jnp.abs(jnp.fft.fft(jnp.exp(1j * w))[:2]) ** 2)

    w = RANDOM.normal(size=6)
    (right,) = walked(trace(loss, w))
    assert check(loss, w, manual=right).ok
    assert check(loss, w, manual=-right).causes[0].mistake == "sign"
    assert not check(loss, w, manual=right + RANDOM.normal(size=6)).causes


def test_a_report_holds_complex_numbers():
    report = check(lambda z: jnp.sum(jnp.abs(z) ** 2), np.array([1 + 2j]), manual=np.array([1 + 1j]))
    (leaf,) = report.leaves
    assert (leaf.given, leaf.expected) == (1 + 1j, 2 - 4j)
    assert json.loads(report.to_json())["leaves"][0]["expected"] == {"real": 2.0, "imag": -4.0}
    assert "2-4j" in str(report)


def test_a_complex_gradient_of_a_real_parameter_is_refused():
    with pytest.raises(ValueError, match="Expected an array of numbers at 'params', found complex128"):
        check(lambda x: jnp.sum(x**2), np.ones(2), manual=np.ones(2) + 0j)


def test_a_complex_number_that_is_none():
    with pytest.raises(ValueError, match=r"found \(?nan.* in 'params' first at \[1\]"):
        check(lambda z: jnp.sum(jnp.abs(z)), np.ones(2) + 0j, manual=np.array([1, np.nan * 1j]))


def test_an_infinite_slope_at_a_complex_zero():
    with pytest.raises(ValueError, match=r"sqrt at 0\+0j at"):
        check(lambda z: jnp.sum(jnp.real(jnp.sqrt(z))), np.zeros(2, complex), manual=np.zeros(2))


def test_pairs_of_real_numbers_have_the_same_slopes():
    program = trace(network, PARAMS, Z)
    paired = in_pairs(program)
    assert not any(np.iscomplexobj(value) for value in paired.values)
    found = gradient(paired, walk(paired, active_nodes(paired, paired.leaves)))
    for name, ours in zip(sorted(PARAMS), found, strict=True):
        np.testing.assert_allclose(ours, slopes(RIGHT[name], PARAMS[name]), rtol=1e-13, atol=1e-13)
    assert in_pairs(trace(lambda x: jnp.sum(x**2), np.ones(2))).nodes[0].foreign is None


def with_rule(backward):
    f = jax.custom_vjp(lambda z: z**2)
    f.defvjp(lambda z: (z**2, z), lambda z, g: (backward(z, g),))
    return f


@pytest.mark.parametrize(
    ("backward", "mistake"),
    [
        (lambda z, g: 2 * z * g, None),
        (lambda z, g: 2 * jnp.conj(z) * g, "sign"),
        (lambda z, g: z * g, "scale"),
        (lambda z, g: 2 * z * g / jnp.abs(g), "upstream"),
        (lambda z, g: 2 * z, "upstream"),
    ],
)
def test_a_rule_for_complex_numbers(backward, mistake):
    report = check_vjp(with_rule(backward), Z)
    assert report.ok is (mistake is None)
    assert [leaf.path for leaf in report.leaves] == ["z"]
    assert [leaf.shape for leaf in report.leaves] == [(3, 4)]
    assert mistake is None or report.causes[0].mistake == mistake
    assert mistake != "sign" or ["multiplies by the conjugate" in each.message for each in report.causes] == [True]


def test_the_gradient_by_a_rule_is_shown_in_the_convention_of_jax():
    """That of Re(c z) is c times a real cotangent."""
    f = jax.custom_vjp(lambda z: jnp.real(C * z))
    f.defvjp(lambda z: (jnp.real(C * z), None), lambda _, g: (3 * C * g,))
    (leaf,) = check_vjp(f, Z).leaves
    assert (leaf.expected / C[leaf.worst_index]).imag == pytest.approx(0, abs=1e-12)
    assert leaf.given == pytest.approx(3 * leaf.expected)


def test_the_second_derivative_of_a_rule_for_complex_numbers():
    assert check_vjp(with_rule(lambda z, g: 2 * z * g), Z, order=2, batched=True).ok
    report = check_vjp(with_rule(lambda z, g: 2 * jax.lax.stop_gradient(z) * g), Z, order=2)
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["z (second derivative)"]


def test_a_function_from_complex_to_real_numbers_and_back():
    def f(z, w):
        return {"size": jnp.abs(z) * w, "turned": jnp.exp(1j * w) * z}

    assert check_vjp(f, Z, C.real, order=2, forward=True).ok
