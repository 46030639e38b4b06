"""Every rule's cases: a table that the tests and the mutation of the rules share."""

from tests.backprop.rule_cases import arithmetic, contractions, indexing, reductions, shapes, windows
from tests.backprop.rule_cases.case import Case

CASES: list[Case] = [
    case for page in (arithmetic, shapes, reductions, contractions, windows, indexing) for case in page.CASES
]
