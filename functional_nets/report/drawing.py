"""The page on which one draws: what it shows comes from the server that serves it."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files

from functional_nets.report.chart import colours
from functional_nets.report.pictures import HIGH, LOW, MIDDLE


def drawing_page(title: str, class_names: Sequence[str], most_bytes: int) -> tuple[bytes, str]:
    """Returns the page and the policy that it is to be served with: its own style and script, and no other's.

    Args:
        title: What the network is called, as text.
        class_names: By label.
        most_bytes: Of an image file; a larger one is refused before it is sent.
    """
    facts = {"classes": list(class_names), "mostBytes": most_bytes, "map": [LOW, MIDDLE, HIGH]}
    style = colours() + _resource("drawing.css")
    known = json.dumps(facts).replace("<", "\\u003c")  # So that no name can end the script.
    script = f"const FACTS = {known};\n{_resource('drawing.js')}"
    page = _resource("drawing.html")
    for name, text in (("TITLE", html.escape(title)), ("STYLE", style), ("SCRIPT", script)):
        page = page.replace(f"<!--{name}-->", text)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
