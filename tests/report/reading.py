"""What a page says, and the images in it, read with other code than wrote them."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID = ("meta", "link", "img", "input")


class Reader(HTMLParser):
    """Notes text, each element that is not closed in its order, and where the page asks for anything outside."""

    def __init__(self, page):
        super().__init__()
        self.open, self.faults, self.outside, self.words, self.elements = [], [], [], [], []
        self.feed(page)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        for name, value in attributes:
            if name in ("src", "href") and not value.startswith(("data:", "#")):
                self.outside.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def read(page):
    """Reads a page that must be whole and need no other file."""
    reader = Reader(page)
    assert (reader.open, reader.faults, reader.outside) == ([], [], [])
    return reader


def picture(uri):
    """The pixels of a PNG file in an address."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split("base64,")[1]))))


def tiles(body):
    """The images that a section's tiles show, with what is read out for each."""
    (uri, columns, rows) = re.search(r"--sheet:url\((.*?)\);--size:(\d+)00% (\d+)00%", body).groups()
    pixels, columns, rows = picture(uri), int(columns), int(rows)
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    for label, across, down in re.findall(
        r'class="tile" role="img" aria-label="(.*?)".*?background-position:([\d.]+)% ([\d.]+)%', body
    ):
        left = round(float(across) / 100 * (pixels.shape[1] - width))
        top = round(float(down) / 100 * (pixels.shape[0] - height))
        yield label, pixels[top : top + height, left : left + width]
