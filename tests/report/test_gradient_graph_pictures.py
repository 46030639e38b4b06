"""A gradient graph as text and as a picture: what it shows, and that it shows hostile names as text."""

import inspect
import sys
from pathlib import Path
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.report import gradient_graph

CHECKOUT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</script><script>document.title = "taken"</script>&"\'\x07../'


@jax.custom_vjp
def halved(x):
    return x * x


halved.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))


def diamond(x):
    return halved(x) + x


@pytest.fixture(scope="module")
def wrong():
    return gradient_graph(diamond, 3.0)


@pytest.fixture(scope="module")
def hostile():
    def f(params):
        with jax.named_scope("<b>scope</b>"):
            y = jnp.sin(params[HOSTILE]) * 2
        return jnp.sum(y)

    return gradient_graph(f, {HOSTILE: np.ones(2)})


def words(svg):
    return [each.text for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_text_draws_each_use_and_what_leads_to_it_once():
    assert gradient_graph(lambda x: x * x + x, 3.0).drawing().splitlines() == [
        "         3",
        "      x───────┐",
        "         3    │ 9",
        "              ×───────┐",
        "         3    │ 1     │",
        "x again───────┘       │ 12",
        "         3            +───────",
        "                      │ 1",
        "         3            │",
        "x again───────────────┘",
        "         1",
    ]


def test_a_value_used_more_than_once_has_the_sum_in_the_table():
    lines = str(gradient_graph(lambda x: x * x + x, 3.0)).splitlines()
    assert [line.split() for line in lines if line.startswith("x: ")] == [["x:", "Σ", "of", "3", "uses", "3", *"777"]]


def test_numbers_in_the_drawing_are_short():
    drawn = gradient_graph(lambda x: 1.4 * x, 1.4).drawing()
    assert drawn.splitlines()[0].split() == ["1.4", "1.96"]


@pytest.mark.parametrize(("terminal", "drawn"), [(None, True), (200, True), (40, False)])
def test_a_drawing_wider_than_the_terminal_is_left_out_and_the_table_kept(monkeypatch, terminal, drawn):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal is not None)
    monkeypatch.setenv("COLUMNS", str(terminal or 40))  # Without a terminal that says nothing.
    found = str(gradient_graph(lambda x: jnp.exp(jnp.sin(jnp.tanh(x))), 1.4))
    assert ("tanh───" in found) == drawn
    assert "backward, edge by edge" in found


def _twice(x):
    y = jnp.exp(x)
    return y * y


def test_an_operation_used_twice_is_drawn_once():
    drawn = gradient_graph(_twice, 0.5).drawing()
    assert drawn.count("exp") == 2
    assert drawn.count("exp again") == 1


def test_the_text_names_the_first_disagreement_and_its_line(wrong):
    line = inspect.getsourcelines(diamond)[1] + 1
    last = str(wrong).splitlines()[-1]
    assert last.startswith(f"✗ disagreement on one edge, first in backward order on x → halved at {__file__}:{line}")
    assert last.endswith("jax.grad contradicts the rule and the finite difference")
    (row,) = (each for each in str(wrong).splitlines() if each.startswith("x → halved"))
    assert row.split()[3:] == ["3", "6", "3", "6", "✗", "jax.grad"]


def test_a_graph_too_large_to_draw_is_a_table():
    def f(x):
        for _ in range(30):
            x = -x
        return x

    graph = gradient_graph(f, 1.0)
    assert graph.drawing() == ""
    assert len([row for row in str(graph).splitlines() if "→ passes " in row]) == 10


def test_a_picture_has_the_value_and_three_gradients_at_each_edge():
    found = words(gradient_graph(lambda x, y: x * y, 2.0, 5.0).svg())
    assert found[:8] == ["2", "rule  5", "grad  5", "diff  5", "5", "rule  2", "grad  2", "diff  2"]


def test_a_tensor_has_its_shape_its_norm_and_its_worst_element():
    found = words(gradient_graph(lambda x: jnp.sum(x**2), np.array([[3.0, 4.0]])).svg())
    assert found[:5] == [
        "1×2  norm 5", "      norm  at [0, 1]", "rule  10    8        ", "grad  10    8        ",
        "diff  10    8        ",
    ]  # fmt: skip


def test_a_disagreement_is_marked_by_a_sign_and_dashes_and_not_by_colour_alone(wrong):
    svg = wrong.svg()
    assert svg.count('class="edge differs"') == 1
    assert "stroke-dasharray" in svg
    assert "grad  3 ✗" in words(svg)


def test_what_is_written_at_an_edge_lies_on_its_ground(wrong):
    for edge in ElementTree.fromstring(wrong.svg()).iter(f"{SVG}g"):
        if edge.get("class", "").startswith("edge"):
            longest = max(len(text.text) for text in edge.iter(f"{SVG}text"))
            assert float(edge.find(f"{SVG}rect").get("width")) >= 6 + 6.6 * longest  # DejaVu Sans Mono, 11 px.


def test_a_dash_is_explained_where_there_is_one(wrong):
    large = gradient_graph(lambda x: jnp.sum(x**2), np.ones(40))
    assert words(large.svg())[-1].endswith("by finite difference (—: not measured)")
    assert words(wrong.svg())[-1].endswith("by finite difference")
    assert words(wrong.svg())[-1].startswith("Above an edge")


def test_a_long_line_of_source_stands_whole_on_its_layer():
    def f(params):
        scores = jnp.tanh(params["w2"]) @ params["b1"] + params["b2"]
        return jnp.sum(scores**2)

    graph = gradient_graph(f, {"w2": np.ones((2, 2)), "b1": np.ones(2), "b2": np.ones(2)})
    assert 'scores = jnp.tanh(params["w2"]) @ params["b1"] + params["b2"]' in " ".join(words(graph.svg(fold=True)))


def test_a_notebook_shows_the_picture_on_light_and_on_dark_paper(wrong):
    assert wrong._repr_svg_() == wrong.svg()
    assert "prefers-color-scheme: dark" in wrong.svg()


def test_long_graphs_are_folded_and_can_be_unfolded():
    def f(w, x):
        for _ in range(6):
            x = jnp.tanh(x @ w) + 1
        return jnp.sum(x)

    graph = gradient_graph(f, np.eye(2), np.ones((1, 2)))
    assert "tanh" not in words(graph.svg())
    assert words(graph.svg(fold=False)).count("tanh") == 6


def test_a_name_with_a_line_break_stays_in_its_row():
    text = str(gradient_graph(lambda p: 2 * p["a\nb"], {"a\nb": 1.0}))
    assert any(line.startswith("a\N{REPLACEMENT CHARACTER}b → 2 ×") for line in text.splitlines())


def test_hostile_names_are_text(hostile):
    for svg in (hostile.svg(), hostile.svg(fold=True)):
        assert {each.tag for each in ElementTree.fromstring(svg).iter()} <= {
            SVG + tag for tag in ("svg", "title", "style", "rect", "g", "path", "text")
        }
    assert any("<script>" in text for text in words(hostile.svg()))


def test_the_pictures_in_the_readme_are_those_of_their_script(monkeypatch):
    monkeypatch.syspath_prepend(str(CHECKOUT / "scripts"))
    sys.modules.pop("gradient_graphs", None)
    import gradient_graphs

    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = gradient_graphs.graphs()
    kept = {path.stem for path in gradient_graphs.FOLDER.glob("*.svg")}
    assert kept == set(found)
    for name, graph in found.items():
        path = gradient_graphs.FOLDER / f"{name}.svg"
        assert words(path.read_text(encoding="utf-8")) == words(graph.svg()), f"run {gradient_graphs.__file__}"
        assert f"docs/gradient_graphs/{name}.svg" in readme
    assert [name for name, graph in found.items() if not graph.ok] == ["two_layers"]
