"""A hand-written gradient in the graph: what is wrong is marked, and the mistake with its line."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.report import gradient_graph

RANDOM = np.random.default_rng(3)
PARAMS = {"w": RANDOM.normal(size=(3, 4)), "b": RANDOM.normal(size=4)}
X = RANDOM.normal(size=(5, 3))


def loss(params, x):
    z = x @ params["w"] + params["b"]
    h = jnp.tanh(z)
    return jnp.mean(h**2)


def right(params, x):
    h = np.tanh(x @ params["w"] + params["b"])
    d = 2 * h / h.size * (1 - h**2)
    return {"w": x.T @ d, "b": d.sum(axis=0)}


def without_tanh(params, x):
    h = np.tanh(x @ params["w"] + params["b"])
    d = 2 * h / h.size
    return {"w": x.T @ d, "b": d.sum(axis=0)}


def bad_inputs(graph):
    return [vertex.label for vertex in graph.model.vertices.values() if not vertex.ok]


@pytest.mark.parametrize("manual", [right, right(PARAMS, X)])
def test_a_right_gradient_is_called_right(manual):
    graph = gradient_graph(loss, PARAMS, X, manual=manual)
    assert graph.ok
    assert "your gradient is right" in str(graph)
    assert "yours" in graph.svg()
    assert bad_inputs(graph) == []


def test_the_mistake_is_marked_where_it_is_made():
    graph = gradient_graph(loss, PARAMS, X, manual=without_tanh)
    marked = [vertex.label for vertex in graph.model.vertices.values() if vertex.marked]
    line = inspect.getsourcelines(loss)[1] + 2
    assert not graph.ok
    assert graph.first == ("b → broadcast", __file__, line - 1, ("yours",))
    assert bad_inputs(graph) == ["b", "w"]
    assert marked == ["tanh"]
    assert f"{__file__}:{line} `h = jnp.tanh(z)`" in str(graph)
    assert f"test_gradient_graph_tested.py:{line}: " in graph.svg()
    assert graph.svg().count("the mistake is here") == 1


def test_only_the_wrong_leaf_is_marked():
    grads = right(PARAMS, X)
    graph = gradient_graph(loss, PARAMS, X, manual=grads | {"w": 2 * grads["w"]})
    assert bad_inputs(graph) == ["w"]


@pytest.mark.parametrize(
    ("name", "turned", "sentence"),
    [
        ("b", lambda b: b[None], "expected [4], found [1, 4]"),
        ("w", lambda w: w.T, "w: the gradient is transposed: expected [3, 4], found [4, 3]"),
        ("w", lambda w: w.reshape(12), "the shape is not: expected [3, 4], found [12]"),
        (
            "w",
            lambda w: np.arange(15.0).reshape(3, 5),
            "w: the gradient has another shape than the parameter: expected [3, 4], found [3, 5]",
        ),
    ],
)
def test_a_leaf_of_another_shape_is_marked(name, turned, sentence):
    grads = right(PARAMS, X)
    graph = gradient_graph(loss, PARAMS, X, manual=grads | {name: turned(grads[name])})
    assert bad_inputs(graph) == [name]
    assert "other shape" in graph.svg()
    assert "other shape" in graph.html()
    assert sentence in str(graph)


def test_a_gradient_by_every_argument_is_a_tuple():
    graph = gradient_graph(lambda x, y: (x + y) ** 2, 1.0, 3.0, manual=(8.0, 4.0))
    assert bad_inputs(graph) == ["y"]


def test_a_function_that_adds_up_is_seen_to_do_so():
    held = jax.tree.map(np.zeros_like, PARAMS)

    def adds(params, x):
        for name, grad in right(params, x).items():
            held[name] += grad
        return held

    assert "set it to zero" in str(gradient_graph(loss, PARAMS, X, manual=adds))


def both_uses(u, v):
    product = u * v
    return product + jnp.sin(v)


def test_a_wrong_gradient_is_a_disagreement_on_its_edge_and_stands_in_the_table():
    graph = gradient_graph(both_uses, 1.5, 2.0, manual=(7.0, 9.0))
    line = inspect.getsourcelines(both_uses)[1] + 1
    text = str(graph)
    assert graph.disagreements == [
        ("u → ×", __file__, line, ("yours",)),
        ("v → sin, ×", __file__, line, ("yours",)),
    ]
    assert graph.first == graph.disagreements[0]
    assert f"your gradient is wrong in u, v, first in backward order on u → × at {__file__}:{line}" in text
    assert text.index("✗ your gradient") < text.index("agree on all 6 edges")
    assert [part.split() for part in text.splitlines() if part.startswith(("edge ", "u →", "v:"))] == [
        ["edge", "value", "rule", "jax.grad", "differences", "yours"],
        ["u", "→", "×", "1.5", "2", "2", "2", "7", "✗", "yours"],
        ["v:", "Σ", "of", "2", "uses", "2", *3 * [f"{1.5 + np.cos(2.0):.8g}"], "9", "✗", "yours"],
    ]


def test_a_wrong_gradient_by_an_argument_that_is_not_used_is_a_disagreement():
    graph = gradient_graph(lambda x, y: x * 2, 1.0, 3.0, manual=(2.0, 4.0))
    assert graph.first == ("y → nothing", None, None, ("yours",))
