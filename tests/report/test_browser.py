"""Reports and the drawing page in a real Chromium: what people see works, and nothing is asked of any other place."""

import importlib.util
import json
import math
import threading
from pathlib import Path

import pytest

from experiments import compare, fashion_mnist, lenet, mnist, xor
from experiments._drawing_server import make_server
from experiments._network import Network
from experiments._runs import read_run
from functional_nets import data
from functional_nets.models import mlp
from tests import chromium
from tests.experiments.conftest import images

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.MISSING)
AXE = importlib.util.find_spec("axe_core_python")
PHONE, DESK = 390, 1100  # Pixels.


@pytest.fixture(scope="module")
def browser():
    with chromium.Chromium() as running:
        yield running


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run that has really learnt MNIST, two epochs of it, in a folder with a hostile name."""
    out = tmp_path_factory.mktemp("runs") / "<script>alert(1)<"
    return mnist.run(mnist.Config(epochs=2, learning_rate=0.5, out=out, source="embedded", gradient_check=False)).folder


def run_of(name, out):
    """A run of each experiment, as short as it can be."""
    if name == "xor":
        return xor.run(xor.Config(steps=2000, out=out)).folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *_, **__: images(200, 50))
        patch.setattr(fashion_mnist, "mlp", lambda _, **options: mlp((784, 12, 10), **options))  # Sooner compiled.
        module = {"fashion_mnist": fashion_mnist, "lenet": lenet}[name]
        return module.run(module.Config(epochs=2, out=out, gradient_check=False)).folder


def accessible(page):
    """Fails with what axe finds against the Web Content Accessibility Guidelines, everything unfolded."""
    if AXE is None:
        pytest.skip("there is no axe here: pip install axe-core-python")
    page.evaluate(Path(AXE.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8") + "; 0")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    wanted = "JSON.stringify(found.violations.map(each => [each.id, each.nodes.map(node => node.html)]))"
    assert json.loads(page.evaluate(f"axe.run().then(found => {wanted})")) == []


def check_still(page, address):
    """Nothing in the console, no request but for the page itself, and no scrolling from side to side."""
    assert page.errors == []
    assert [each for each in page.requests if not each.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("name", ["mnist", "xor", "fashion_mnist", "lenet"])
def test_a_report_works_on_a_desk_and_on_a_phone(browser, name, tmp_path, request):
    folder = request.getfixturevalue("digits") if name == "mnist" else run_of(name, tmp_path / "run")
    address = (folder / "report.html").as_uri()
    for width, dark in ((DESK, False), (PHONE, True)):
        page = browser.page(address, width=width, dark=dark)
        assert page.evaluate("document.querySelector('h1').textContent").startswith(f"{name}: ")
        (slides if name == "xor" else unfolds)(page)
        if dark:
            accessible(page)  # It takes seconds on a page with so many images.
        check_still(page, address)
    # By night the paper is dark.
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 21, 28)"


def slides(page):
    """The slider shows one step's surface after the other."""
    shown = "[...document.querySelectorAll('.frame')].filter(each => each.offsetParent).map(each => each.dataset.step)"
    assert page.evaluate(shown) == ["2,000"]
    page.evaluate("document.querySelector('.surface input').focus()")
    page.press("Home")
    assert page.evaluate(shown) == ["0"]
    page.press("ArrowRight")
    assert page.evaluate(shown) == ["40"]
    assert page.evaluate("document.querySelector('.surface output').textContent") == "40"
    assert page.evaluate("document.querySelector('.surface img').naturalWidth") == 96


def unfolds(page):
    """A number of the confusion matrix shows its images, folded tables unfold."""
    cell = "document.querySelector('.matrix button')"
    page.evaluate(f"{cell}.focus()")
    if page.evaluate(f"{cell}.getAttribute('aria-pressed')") == "false":  # Else it is the one shown from the beginning.
        page.press("Enter", text="\r")
    caption = page.evaluate("document.querySelector('.chosen figcaption').textContent")
    assert caption == page.evaluate("document.querySelector('figure[id^=cell] figcaption').textContent")
    assert page.evaluate("document.querySelectorAll('.chosen .tile').length") > 0
    assert page.evaluate(f"{cell}.getAttribute('aria-pressed')") == "true"
    page.press("Enter", text="\r")
    assert page.evaluate("document.querySelector('.chosen').textContent") == ""
    numbers = "document.querySelector('#curves details table')"
    assert not page.evaluate(f"{numbers}.checkVisibility()")
    page.evaluate("document.querySelector('#curves summary').click()")
    assert page.evaluate(f"{numbers}.checkVisibility()")


def test_compared_runs_with_hostile_names_are_shown_as_text(browser, digits, tmp_path):
    page_file = compare.run(compare.Config(runs=(digits, digits), out=tmp_path / "compare.html"))
    page = browser.page(page_file.as_uri(), width=PHONE)
    assert "<script>alert(1)<" in page.evaluate("document.querySelector('thead').textContent")
    accessible(page)
    check_still(page, page_file.as_uri())


@pytest.fixture(scope="module")
def drawing(digits):
    """The address of the drawing page."""
    with make_server(Network(read_run(digits)), str(digits), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


STROKES = {
    "1": [(0.52, 0.2), (0.5, 0.5), (0.48, 0.8)],
    "7": [(0.28, 0.25), (0.5, 0.25), (0.72, 0.25), (0.6, 0.55), (0.48, 0.82)],
    "0": [(0.5 + 0.2 * math.sin(turn), 0.5 - 0.3 * math.cos(turn)) for turn in [k * math.pi / 15 for k in range(31)]],
}  # Of the field's width.


def draw(page, strokes):
    left, top, width = page.evaluate(
        "(({x, y, width}) => [x, y, width])(document.getElementById('paper').getBoundingClientRect())"
    )
    page.evaluate("document.getElementById('clear').click()")
    page.drag([(left + x * width, top + y * width) for x, y in strokes])


SAYS = "document.getElementById('answer').textContent"


def test_strokes_are_recognised_in_two_tabs_at_once_and_nothing_else_is_asked_for(browser, drawing):
    first, second = (browser.page(drawing, width=width) for width in (DESK, PHONE))
    for digit, other in (("1", "7"), ("7", "0"), ("0", "1")):
        draw(first, STROKES[digit])
        draw(second, STROKES[other])
        first.wait(f"{SAYS}.startsWith('{digit}, ')")
        second.wait(f"{SAYS}.startsWith('{other}, ')")
    for page in (first, second):
        assert page.errors == []
        assert {each.split("?")[0] for each in page.requests if not each.startswith("data:")} == {
            drawing, f"{drawing}look",
        }  # fmt: skip
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_keys_draw_and_the_gradient_comes_on_a_click_and_follows_the_label(browser, drawing):
    page = browser.page(drawing, dark=True)
    page.evaluate("document.getElementById('paper').focus()")
    for key in ["ArrowUp"] * 8 + [" "] + ["ArrowDown"] * 16:
        page.press(key, text=" " if key == " " else None)
    page.wait(f"{SAYS}.startsWith('1, ')")
    assert "units active" in page.evaluate("document.querySelector('#hidden canvas').ariaLabel")
    shape = "(({width, height}) => [width, height])(document.querySelector('#hidden canvas'))"
    assert page.evaluate(shape) == [10, 5]  # Of the 50 units, in whole rows.
    slope = "document.getElementById('slope')"
    assert not page.evaluate(f"{slope}.checkVisibility()")
    page.evaluate("document.getElementById('gradient').click()")
    assert page.evaluate(f"{slope}.checkVisibility()")
    page.evaluate("const chosen = document.getElementById('label'); chosen.value = 7; "
                  "chosen.dispatchEvent(new Event('change'))")  # fmt: skip
    page.wait(f"{slope}.textContent.startsWith('The loss, if it is 7, is ')")
    shades = "new Set(document.getElementById('pixels').getContext('2d').getImageData(0, 0, 28, 28).data).size"
    assert page.evaluate(shades) > 20
    accessible(page)
    page.evaluate("document.getElementById('paper').focus()")
    page.press("Escape")
    assert page.evaluate(SAYS) == "Nothing yet."
    assert page.errors == []


def test_a_file_that_is_too_large_or_broken_gets_a_clear_refusal(browser, drawing, tmp_path):
    page = browser.page(drawing)
    document = page.send("DOM.getDocument")["root"]["nodeId"]
    field = page.send("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    for size, said in ((20 << 20, "found 20.0 MB: make it smaller."), (6, "found 6 bytes that are none")):
        (tmp_path / "file.png").write_bytes(bytes(size))
        page.send("DOM.setFileInputFiles", files=[str(tmp_path / "file.png")], nodeId=field)
        page.wait(f"document.getElementById('trouble').textContent.includes({json.dumps(said)})")
    assert page.evaluate(SAYS) == "Nothing yet."
