"""On each edge of a gradient graph three witnesses say what flows back, and who is wrong is named."""

import dataclasses
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.backprop.rules import RULES
from functional_nets.report import gradient_graph


def by_edge(graph, witness="rule"):
    """The gradient by a witness, by edge, `a → b` and then `a → b (2)`."""
    found = {}
    for edge in graph.model.edges:
        source, target = (graph.model.vertices[key].label for key in (edge.source, edge.target))
        name = f"{source} → {target}"
        name = f"{name} (2)" if name in found else name
        gradient = edge.gradient
        if witness == "differences":
            found[name] = {index: slope.value for index, slope in gradient.measured.elements.items()}
        else:
            found[name] = gradient.rule if witness == "rule" else gradient.jax
    return found


def bill(apple, apples, tax):
    return apple * apples * tax


@pytest.mark.parametrize("witness", ["rule", "jax.grad"])
def test_a_bill_has_the_gradients_of_the_book(witness):
    found = by_edge(gradient_graph(bill, 100.0, 2.0, 1.1), witness)
    assert {name: round(float(g), 10) for name, g in found.items()} == {
        "apple → ×": 2.2, "apples → ×": 110.0, "× → ×": 1.1, "tax → ×": 200.0, "× → result": 1.0,
    }  # fmt: skip


def test_differences_are_measured_on_inner_edges():
    found = by_edge(gradient_graph(bill, 100.0, 2.0, 1.1), "differences")
    assert found["× → ×"][()] == pytest.approx(1.1, rel=1e-8)
    assert found["tax → ×"][()] == pytest.approx(200.0, rel=1e-8)


def test_whole_numbers_are_numbers():
    assert float(by_edge(gradient_graph(lambda x, y: (x + y) ** 2, 1, 3))["x → +"]) == 8.0


@pytest.mark.parametrize("witness", ["rule", "jax.grad"])
def test_each_use_of_a_value_has_its_own_gradient_and_the_value_their_sum(witness):
    graph = gradient_graph(lambda x: x * x + jnp.sin(x), 3.0)
    found = by_edge(graph, witness)
    assert [float(found[name]) for name in ("x → ×", "x → × (2)", "x → sin")] == pytest.approx([3.0, 3.0, np.cos(3.0)])
    assert float(graph.model.vertices["i0"].total) == pytest.approx(6 + np.cos(3.0))


def linear(w, x, y):
    return jnp.sum((x @ w - y) ** 2)


def test_tensors_have_the_gradients_of_the_formula():
    random = np.random.default_rng(0)
    w, x, y = random.normal(size=(5, 4)), random.normal(size=(6, 5)), random.normal(size=(6, 4))
    graph = gradient_graph(linear, w, x, y)
    slope = 2 * (x @ w - y)
    right = {"w → @": x.T @ slope, "x → @": slope @ w.T, "@ → −": slope, "y → −": -slope}
    for witness in ("rule", "jax.grad"):
        for name, gradient in right.items():
            np.testing.assert_allclose(by_edge(graph, witness)[name], gradient, rtol=1e-12)
    for name, elements in by_edge(graph, "differences").items():
        assert elements
        if name in right:
            for index, measured in elements.items():
                assert measured == pytest.approx(right[name][index], rel=1e-6)
    assert graph.ok


@jax.custom_vjp
def halved(x):
    return x * x


halved.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))


@jax.custom_jvp
def tripled(x):
    return jnp.sin(x)


tripled.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), 3 * jnp.cos(primals[0]) * tangents[0]))


@pytest.mark.parametrize("wrong", [halved, tripled])
def test_a_wrong_custom_rule_is_named_with_its_line_though_all_before_it_differs_too(wrong):
    def f(x):
        a = jnp.exp(x)
        return jnp.tanh(wrong(a))

    graph = gradient_graph(f, 0.3)
    line = inspect.getsourcelines(f)[1] + 2
    assert not graph.ok
    assert graph.first == (f"exp → {wrong.__name__}", __file__, line, ("jax.grad",))
    assert [each.edge for each in graph.disagreements] == [graph.first.edge, "x → exp"]


def test_a_wrong_rule_of_ours_would_be_named(monkeypatch):
    monkeypatch.setitem(RULES, "tanh", dataclasses.replace(RULES["tanh"], formula=lambda g, y, x: (g * y,)))
    graph = gradient_graph(lambda x: jnp.exp(jnp.tanh(x)), 0.3)
    assert [(each.edge, each.witnesses) for each in graph.disagreements] == [("x → tanh", ("rule",))]


def test_one_wrong_element_of_many_is_seen():
    @jax.custom_vjp
    def f(x):
        return jnp.sum(x**2)

    f.defvjp(lambda x: (jnp.sum(x**2), x), lambda x, g: (2 * g * x.at[3, 7].multiply(1.001),))
    graph = gradient_graph(lambda x: f(x), np.random.default_rng(0).normal(size=(8, 9)))
    assert graph.first.witnesses == ("jax.grad",)
    assert "at [3, 7]" in graph.svg()


def test_a_kink_is_no_disagreement():
    graph = gradient_graph(lambda x: jnp.sum(jax.nn.relu(x)), np.array([-1.0, 0.0, 2.0]))
    assert graph.ok
    assert "at a kink" in str(graph)


def test_rounding_is_no_disagreement():
    x = 1e3 * np.random.default_rng(0).normal(size=(4, 5))
    assert gradient_graph(lambda x: jnp.mean(jax.nn.log_softmax(jnp.asarray(x, jnp.float32))[:, 0]), x).ok
    assert gradient_graph(lambda x: jnp.sum(x - jnp.mean(x)), x).ok


def test_nothing_flows_back_through_stop_gradient():
    graph = gradient_graph(lambda x: x * jax.lax.stop_gradient(jnp.exp(x)), 2.0)
    assert set(by_edge(graph)) == {"x → ×", "stop gradient → ×", "× → result"}
    assert graph.ok


def test_an_argument_to_which_nothing_flows_back_is_named():
    unused = gradient_graph(lambda x, y: x * 2, 1.0, 3.0)
    assert str(unused).endswith("\ny: unused, gradient 0")
    assert "y: unused, gradient 0" in unused.html()
    stopped = gradient_graph(lambda x, y: x * jax.lax.stop_gradient(y), 1.0, 3.0)
    assert str(stopped).endswith("\ny: nothing flows back, gradient 0")


def test_loops_are_unrolled_and_branches_taken():
    def f(x):
        y, _ = jax.lax.scan(lambda c, a: (jnp.sin(c * a), None), x, jnp.arange(1.0, 4.0))
        y = jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, 3 * s[1]), (0, y))[1]
        return jax.lax.cond(y > 0, jnp.exp, jnp.cos, y)

    graph = gradient_graph(f, 0.7)
    assert graph.ok
    sines = [vertex for vertex in graph.model.vertices.values() if vertex.label == "sin"]
    assert len(sines) == 3
    assert float(by_edge(graph, "jax.grad")["exp → result"]) == 1.0


def test_an_operation_names_no_input_and_a_constant_array_is_not_taken_for_a_number():
    graph = gradient_graph(lambda x: jnp.sum(-((x * np.arange(4.0)) ** 2) / np.full(4, 5.0)), np.ones(4))
    operations = [vertex.label for vertex in graph.model.vertices.values() if vertex.kind == "operation"]
    assert operations == ["× [4]", "( )²", "−( )", "÷ 5", "Σ"]


def test_complex_numbers_have_the_gradient_of_jax():
    z = np.array([1 + 2j, 3 - 1j])
    graph = gradient_graph(lambda z: jnp.sum(jnp.abs(z) ** 2), z)
    found = by_edge(graph, "jax.grad")
    assert str(graph).endswith("; differences do not measure 1 of them: complex numbers, or parts of a decomposition")
    np.testing.assert_allclose(found["z → |·|"], 2 * np.conj(z))


def test_an_empty_array_and_an_input_that_is_the_result():
    assert gradient_graph(lambda x: jnp.sum(x**2), np.zeros((0, 3))).ok
    assert "x" in str(gradient_graph(lambda x: x, 2.0))


def test_leaves_are_named_by_their_path_where_it_is_theirs_alone():
    def f(params, other, scale):
        return scale * jnp.sum(params["w"] * other["w"] + params["b"])

    graph = gradient_graph(f, {"w": np.ones(2), "b": np.ones(2)}, {"w": np.ones(2)}, 2.0)
    assert [each.name for each in graph.model.inputs] == ["b", "params/w", "other/w", "scale"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient_graph(lambda: 1.0), "Expected at least one argument"),
        (lambda: gradient_graph(lambda x: x, np.ones(3)), "Expected a loss that returns one scalar"),
        (lambda: gradient_graph(lambda x: x, 2.0).save("graph.png"), "Expected a file name ending in .html"),
        (lambda: gradient_graph(linear, np.ones((2, 2)), np.ones((3, 2)), 0.0, manual={"v": 1.0}), "Expected a grad"),
        (lambda: gradient_graph(lambda x: 3.0, 1.0), "depends on its arguments, found one that gives 3"),
        (lambda: gradient_graph(lambda x, f: x, 1.0, "sin"), "trees of them, found 'sin' as argument 2: close over it"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("f", "x", "sentences"),
    [
        (lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), -1.0, ["one edge: nan, differences say 0; nothing comes back"]),
        (lambda x: 1 / x, 0.0, ["the result is inf", "one edge: −inf, differences cannot tell"]),
        (jnp.sqrt, 0.0, ["one edge: inf, differences cannot tell"]),
        (jnp.linalg.norm, np.zeros(3), ["4 of 5 edges: inf, differences cannot tell"]),
        (jnp.log, -1.0, ["the result is nan"]),
        (lambda x: x * jnp.log(x), 0.0, ["the result is nan", "2 of 4 edges: −inf, differences cannot tell"]),
        (lambda x: 2 * jnp.exp(x), 1000.0, ["the result is inf", "one edge: inf, differences cannot tell"]),
        (lambda x: jnp.max(x) * 2, np.array([1.0, -np.inf]), []),
    ],
)
def test_a_gradient_that_is_not_finite_is_no_agreement(f, x, sentences):
    graph = gradient_graph(f, x)
    found = [sentence.text for sentence in graph.verdict if not sentence.good]
    shortened = [re.sub(r", first in .*: (the rule says|rule and jax.grad say)", ":", text) for text in found]
    assert graph.ok == (not sentences)
    assert len(shortened) == len(sentences)
    assert all(wanted in text for text, wanted in zip(shortened, sentences, strict=True)), shortened
    assert "nan" not in str(graph) or not graph.ok
    assert "<svg" in graph.html()
