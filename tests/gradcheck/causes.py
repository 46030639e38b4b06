"""What the tests of the search ask of a report."""

import inspect

from functional_nets.gradcheck import check


def line_of(function, text):
    """The number of the one line of a function that holds the text."""
    lines, first = inspect.getsourcelines(function)
    (number,) = [number for number, line in enumerate(lines, first) if text in line]
    return number


def found(loss_fn, params, *args, manual):
    """The first cause, as (mistake, line of the loss's source that it points at)."""
    report = check(loss_fn, params, *args, manual=manual)
    assert not report.ok
    assert report.causes, str(report)
    assert report.causes[0].residual < 1e-8
    return report.causes[0]
