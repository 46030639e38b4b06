"""A page that is one file: sections under one style, readable on a phone, by day and by night, without a network."""

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from functional_nets.report.chart import colours

NO_PICTURES: Mapping[str, bytes] = {}


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        title: Its heading.
        body: Its HTML.
        pictures: What it shows, as files that can be used elsewhere, by name.
    """

    title: str
    body: str
    pictures: Mapping[str, bytes] = NO_PICTURES


def document(title: str, header: str, sections: Sequence[Section]) -> str:
    """Returns a whole page: a heading, what stands at its top, the sections and links to them.

    Args:
        title: The heading, as text.
        header: HTML below the heading.
        sections: What follows.
    """
    names = [_anchor(section.title) for section in sections]
    links = "".join(
        f'<a href="#{name}">{html.escape(section.title)}</a>' for name, section in zip(names, sections, strict=True)
    )
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{html.escape(section.title)}</h2>'
        f"{section.body}</section>"
        for name, section in zip(names, sections, strict=True)
    )
    style, script = _resource("page.css"), _resource("page.js")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        # Nothing may be asked of any other place, whatever a name in the page holds.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data:\">"
        '<link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{colours()}{style}</style></head><body>"
        f'<header><h1>{html.escape(title)}</h1>{header}<nav aria-label="Sections">{links}</nav></header>'
        f"<main>{body}</main><script>{script}</script></body></html>\n"
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table whose first cell in each row is its heading; what is given as text is escaped.

    Args:
        caption: What the table holds, for those who come upon it alone.
        head: The columns' names; empty for a table of names and values.
        rows: Their cells, `Markup` for HTML.
    """
    top = "".join(f'<th scope="col">{cell(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{cell(first)}</th>' + "".join(f"<td>{cell(value)}</td>" for value in rest) + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{html.escape(caption)}"><table>'
        f"<caption>{html.escape(caption)}</caption>"
        f"{f'<thead><tr>{top}</tr></thead>' if top else ''}<tbody>{lines}</tbody></table></div>"
    )


class Markup(str):
    """Text that is HTML already."""


def cell(value: object) -> str:
    """Returns the HTML of a value: of text itself, escaped."""
    return str(value) if isinstance(value, Markup) else html.escape(str(value))


def figure(svg: str) -> str:
    """Returns a chart as a figure; nothing for no chart."""
    return f"<figure>{svg}</figure>" if svg else ""


def _anchor(title: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
