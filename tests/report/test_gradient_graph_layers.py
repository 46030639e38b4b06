"""A long graph folds by layer, and nothing is lost or added up wrongly by folding it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.report import gradient_graph

RANDOM = np.random.default_rng(0)


def looped(weights, x):
    for w in weights:
        x = jnp.tanh(x @ w)
    return jnp.sum(x**2)


def several_uses(x):
    with jax.named_scope("norm"):
        y = (x - jnp.mean(x)) / jnp.std(x)
    return jnp.sum(y**3 * x)


@pytest.fixture(scope="module")
def normed():
    return gradient_graph(several_uses, RANDOM.normal(size=6))


def labels(graph):
    return [layer.label for layer in graph.model.layers]


def test_each_pass_of_a_loop_is_a_layer():
    graph = gradient_graph(looped, [RANDOM.normal(size=(3, 3)) for _ in range(3)], np.ones((2, 3)))
    assert labels(graph)[:3] == ["weights/0", "weights/1", "weights/2"]


def test_a_layer_of_a_list_of_pairs_has_the_name_of_its_pair():
    def f(params, x):
        for w, b in params:
            x = jnp.tanh(x @ w + b)
        return jnp.sum(x)

    assert labels(gradient_graph(f, [(np.eye(2), np.ones(2))] * 2, np.ones((1, 2)))) == ["params/0", "params/1"]


def in_two_lines(x):
    for _ in range(26):
        y = x + 1
        x = -y
    return x


def in_one_line(x):
    for _ in range(26):
        x = -(x + 1)
    return x


@pytest.mark.parametrize(("f", "line"), [(in_two_lines, "y = x + 1"), (in_one_line, "x = -(x + 1)")])
def test_many_passes_without_weights_fold_several_at_once(f, line):
    graph = gradient_graph(f, 1.0)
    assert labels(graph) == [f"passes {k}–{min(k + 2, 26)}: {line}" for k in range(1, 27, 3)]
    assert [len(layer.units) for layer in graph.model.layers] == [6] * 8 + [4]


def test_an_unfolded_layer_shows_its_own_edges_and_what_they_lead_to(normed):
    number = labels(normed).index("norm")
    inside, whole = normed.model.inside(number), normed.model.view({number})
    members = {f"u{unit}" for unit in normed.model.layers[number].units}
    expected = [edge.key for edge in whole.edges if {edge.source, edge.target} & members]
    assert [edge.key for edge in inside.edges] == expected
    assert set(inside.vertices) == {end for edge in inside.edges for end in (edge.source, edge.target)}
    assert inside.vertices["i0"].total is None  # The input is used elsewhere, too.


def test_layers_have_the_names_of_their_parameters_and_functions():
    def dense(params, x):
        return x @ params["w"] + params["b"]

    def squared_error(y):
        return jnp.mean(y**2)

    def loss(params, x):
        return squared_error(dense(params["out"], jnp.tanh(dense(params["in"], x))))

    layer = {"w": np.ones((3, 3)), "b": np.ones(3)}
    graph = gradient_graph(loss, {"in": layer, "out": layer}, np.ones((2, 3)))
    assert labels(graph) == ["in", "out", "squared_error"]
    assert graph.ok


def test_a_named_scope_is_a_layer(normed):
    assert "norm" in labels(normed)


def test_what_a_layer_gives_back_is_the_sum_over_its_uses(normed):
    graph = normed
    number = labels(graph).index("norm")
    folded = graph.model.view(())
    (into,) = (edge for edge in folded.edges if edge.target == f"l{number}")
    members = {f"u{unit}" for unit in graph.model.layers[number].units}
    inner = [edge for edge in graph.model.edges if edge.source == "i0" and edge.target in members]
    assert len(inner) > 1
    np.testing.assert_allclose(into.gradient.rule, sum(edge.gradient.rule for edge in inner))
    for index, slope in into.gradient.measured.elements.items():
        assert slope.value == pytest.approx(into.gradient.jax[index], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("opened", [None, (), {0}])
def test_a_view_has_each_vertex_once_and_leads_forward(normed, opened):
    view = normed.model.view(opened)
    order = list(view.vertices)
    assert all(order.index(edge.source) < order.index(edge.target) for edge in view.edges)
    assert {edge.target for edge in view.edges} | {"i0"} == set(order)


def test_a_disagreement_is_still_to_be_seen_when_its_layer_is_folded():
    @jax.custom_vjp
    def wrong(x):
        return x * x

    wrong.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))

    def f(x):
        y = wrong(x) + 1
        return jnp.sum(y)

    folded = gradient_graph(f, np.ones(3)).model.view(())
    assert [edge.differing for edge in folded.edges if edge.source == "i0"] == [("jax.grad",)]


SYMMETRIC = np.array([[2.0, 1.0], [1.0, 3.0]])


@pytest.mark.parametrize(
    ("f", "routine", "measured"),
    [
        (lambda a: jnp.sum(jnp.linalg.solve(a, a[0])), "solve", True),
        (lambda a: jnp.sum(jnp.linalg.cholesky(a)), "cholesky", True),
        (lambda a: jnp.sum(jax.lax.linalg.cholesky(a)), "cholesky", False),
        (lambda a: jnp.sum(jax.scipy.linalg.cho_factor(a)[0]), "_cholesky", False),
    ],
)
def test_a_decomposition_is_one_operation_and_what_only_its_parts_say_is_no_alarm(f, routine, measured):
    graph = gradient_graph(f, SYMMETRIC)
    into = [edge for edge in graph.model.edges if graph.model.vertices[edge.target].label == routine]
    assert graph.ok, str(graph)
    assert into
    assert all((edge.gradient.measured is not None) == measured for edge in into)
    assert ("differences do not measure" in str(graph)) != measured


def test_what_underflows_is_no_alarm():
    assert gradient_graph(lambda x: jnp.exp(-x) * 1e-300, 700.0).ok
