"""The page of a gradient graph: one file, whose search, zoom and folding work in a browser, by keyboard, too."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.report import gradient_graph

HOSTILE = "</script><script>document.title='taken'</script>&\"'"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

VISIT = """
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
const outcome = {};
const panel = document.getElementById("panel");
const stage = document.getElementById("stage");
outcome.panel = [panel.offsetWidth];
const views = () => [...document.querySelectorAll(".view")].filter((view) => !view.hidden);
const shown = () => views().map((view) => view.dataset.state);
const event = (key) => new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
const press = (element, key) => element.dispatchEvent(event(key));
const visible = (selector) => views().map((view) => view.querySelector(selector)).findLast(Boolean);
outcome.start = shown();
const size = () => visible("svg").getBoundingClientRect();
for (let times = 0; times < 12; times += 1) press(document.body, "-");
outcome.empty = [stage.clientWidth - size().width, stage.clientHeight - size().height].map(Math.round);
press(document.body, "0");
outcome.legible = 11 * size().width / visible("svg").viewBox.baseVal.width >= 9.99;
document.getElementById("fold").click();
press(visible(".layer"), "Enter");
outcome.unfolded = shown();
outcome.inside = Boolean(visible("[data-key=u0]"));
outcome.focused = document.activeElement.dataset.key;
press(visible("[data-key=u0]"), " ");
outcome.folded = shown();
const layers = [...document.querySelectorAll('[data-state="folded"] .layer')];
layers.forEach((each) => press(each, "Enter"));
outcome.several = shown().length;
layers.forEach((each) => press(each, "Enter"));
outcome.closed = shown();
document.getElementById("unfold").click();
outcome.all = shown();
const before = visible("svg").getAttribute("width");
press(document.body, "+");
outcome.larger = visible("svg").getAttribute("width") / before;
press(visible('.edge[aria-label^="w →"]'), "Enter");
outcome.panel.push(panel.offsetWidth > 0);
outcome.heads = [...document.querySelectorAll("#panel th")].map((each) => each.textContent);
outcome.rows = document.querySelectorAll("#panel tbody tr").length;
document.getElementById("fold").click();
const search = document.getElementById("search");
search.value = "TANH";
search.dispatchEvent(new Event("input"));
outcome.found = document.getElementById("found").textContent;
outcome.hits = document.querySelectorAll(".view:not([hidden]) .hit").length;
press(search, "Enter");
outcome.opened = shown();
document.getElementById("mistake").click();
outcome.mistake = document.activeElement.classList.contains("marked");
document.getElementById("first").click();
outcome.first = document.activeElement.classList.contains("differs");
outcome.title = document.title;
outcome.errors = errors;
const pre = document.createElement("pre");
pre.id = "outcome";
pre.textContent = JSON.stringify(outcome);
document.body.append(pre);
"""


@jax.custom_vjp
def halved(x):
    return x * x


halved.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))


def network(params, x):
    h = jnp.tanh(x @ params["w"] + params[HOSTILE])
    y = halved(h) + jnp.sin(h)
    return jnp.mean(y)


@pytest.fixture(scope="module")
def graph():
    params = {"w": np.ones((2, 3)), HOSTILE: np.zeros(3)}
    doubled = jax.tree.map(lambda leaf: 2 * leaf, jax.grad(network)(params, np.ones((4, 2))))
    return gradient_graph(network, params, np.ones((4, 2)), manual=doubled)


class Parts(HTMLParser):
    """The tags of a page, and the addresses that it refers to."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.top, self.within = [], [], set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if self.within and self.within[-1] == "body":
            self.top.add(tag)
        if tag not in ("meta", "input"):
            self.within.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action")]

    def handle_endtag(self, tag):
        self.within.pop()


def test_everything_on_the_page_lies_in_a_landmark(graph):
    parts = Parts()
    parts.feed(graph.html())
    assert parts.top == {"header", "main", "script"}


def test_the_page_is_one_file_that_asks_for_nothing(graph):
    page = graph.html()
    parts = Parts()
    parts.feed(page)
    assert parts.addresses == []
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"'\s]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_hostile_names_are_text(graph):
    parts = Parts()
    parts.feed(graph.html())
    assert parts.tags.count("script") == 2
    assert html.escape(HOSTILE) in graph.html()


def test_the_page_has_every_edge_in_a_table_in_backward_order(graph):
    body = graph.html().partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [re.findall("<td>(.*?)</td>", row) for row in body.split("</tr>")[:-1]]
    assert len(rows) == len(graph.model.edges)
    assert rows[0][0].endswith("→ result")
    assert {"x → @", "w → @"} <= {row[0] for row in rows[-4:]}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_page_works_in_a_browser(graph, tmp_path):
    page = tmp_path / "graph.html"
    page.write_text(graph.html().replace("</body>", f"<script>{{{VISIT}}}</script></body>"), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    options += f" --disable-sync --no-first-run --user-data-dir={tmp_path / 'profile'} --dump-dom"
    command = [CHROMIUM, *options.split(), page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert '<pre id="outcome">' in dom, dom[-2000:]
    outcome = json.loads(html.unescape(dom.partition('<pre id="outcome">')[2].partition("</pre>")[0]))
    assert outcome == {
        "panel": [0, True], "empty": [0, 0], "legible": True,
        "start": ["all"], "unfolded": ["folded", "0"], "inside": True, "focused": "u0", "folded": ["folded"],
        "all": ["all"], "several": 4, "closed": ["folded"],
        "larger": pytest.approx(1.25), "rows": 6,
        "heads": ["at", "value", "rule", "jax.grad ✗", "difference", "yours ✗"],
        "found": "5 found", "hits": 1, "opened": ["folded", "0"], "mistake": True, "first": True,
        "title": "Gradient graph of network", "errors": [],
    }  # fmt: skip


def test_the_page_grows_as_the_graph_does():
    def f(weights, x):
        for w in weights:
            x = jnp.tanh(x @ w)
        return jnp.sum(x)

    sizes = [len(gradient_graph(f, [np.eye(1)] * count, np.ones((1, 1))).html()) for count in (2, 7, 12)]
    assert sizes[2] - sizes[1] < 1.2 * (sizes[1] - sizes[0])
