"""Hostile bytes out of few decisions, so that a fuzzer steers what becomes of a file rather than each of its bytes."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

INTEGERS = (0, 1, 2, 127, 255, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
MARKS = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\x93NUMPY", b"\x1f\x8b", b"{", b"\n")


class Choices:
    """Decisions read off bytes, first to last; where these end, each is the first of its options."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def below(self, bound: int) -> int:
        """A number from 0 to `bound - 1`."""
        return int.from_bytes(self.take((max(bound, 2) - 1).bit_length() + 7 >> 3), "big") % max(bound, 1)

    def of(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def mostly(self, options: Sequence[T]) -> T:
        """The first of the options, but once in sixteen times any."""
        return options[0] if self.below(16) < 15 else self.of(options)


def damaged(content: bytes, choices: Choices, other: bytes) -> bytes:
    """`content` after up to three changes: at its marks and ends rather than anywhere.

    Args:
        content: A file.
        choices: What to do to it.
        other: Another file, whose bytes may replace some of these.
    """
    for _ in range(choices.below(4)):
        at = _place(content, choices)
        change = choices.of((_flipped, _with_integer, _cut_out, _doubled, _cut_off, _with_more, _spliced))
        content = change(content, at, choices, other)
    return content


def _place(content: bytes, choices: Choices) -> int:
    marks = [content.find(mark, choices.below(256)) for mark in MARKS]
    anchors = [0, len(content) - 64, *(mark for mark in marks if mark >= 0)]
    near = max(0, choices.of(anchors)) + choices.below(64)
    return choices.of((near, choices.below(len(content) + 1))) % (len(content) + 1)


def _flipped(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    byte = content[at : at + 1] or b"\0"
    return content[:at] + bytes([byte[0] ^ 1 << choices.below(8)]) + content[at + 1 :]


def _with_integer(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    width = choices.of((1, 2, 4, 8))
    integer = choices.of(INTEGERS) % 256**width
    return content[:at] + integer.to_bytes(width, choices.of(("little", "big"))) + content[at + width :]


def _cut_out(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    return content[:at] + content[at + choices.below(64) :]


def _doubled(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    return content[:at] + content[at : at + choices.below(512)] * 2 + content[at:]


def _cut_off(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    return content[:at]


def _with_more(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    return content[:at] + choices.take(choices.below(16)) + content[at:]


def _spliced(content: bytes, at: int, choices: Choices, other: bytes) -> bytes:
    return content[:at] + other[choices.below(len(other)) :]
