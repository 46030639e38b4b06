"""A page that is one file: sections under one style, readable on a phone, by day and by night, without a network."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from functional_nets.report.chart import colours

NO_PICTURES: Mapping[str, bytes] = {}
NUMBER = re.compile(r"[-−+]?\d[\d,.]*(e[-+]?\d+)?( ?%| s)?( × [\d,]+)*( ★)?|—|")
"""What is no text, and is not broken: a number with its unit, sizes, the best of its row, or none."""
LONG_WORD = 24


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
    rows = [list(row) for row in rows]
    numbers = [bool(head) and all(map(_is_number, column)) for column in zip(*rows, strict=True)] or [False] * len(head)
    top = "".join(
        f'<th scope="col"{_kind(name, right)}>{cell(name)}</th>'
        for name, right in zip(head, [False, *numbers[1:]], strict=False)
    )
    lines = "".join(
        f'<tr><th scope="row">{cell(first)}</th>'
        + "".join(f"<td{_kind(each, right)}>{cell(each)}</td>" for each, right in zip(rest, numbers[1:], strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{html.escape(caption)}"><table>'
        f"<caption>{html.escape(caption)}</caption>"
        f"{f'<thead><tr>{top}</tr></thead>' if top else ''}<tbody>{lines}</tbody></table></div>"
    )


def _is_number(value: object) -> bool:
    return NUMBER.fullmatch(str(value)) is not None


def _kind(value: object, right: bool) -> str:
    """Returns the class of a cell: no number is broken and no word but a long one; columns of numbers end alike."""
    kinds = ["number"] * right + ["whole"] * _is_number(value)
    if max(map(len, str(value).split()), default=0) > LONG_WORD:
        kinds.append("long")
    return f' class="{" ".join(kinds)}"' if kinds else ""


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
