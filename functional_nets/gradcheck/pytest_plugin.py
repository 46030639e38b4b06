"""The gradient check in pytest: a fixture `gradcheck`, and reports of what failed in a folder.

    def test_my_layer(gradcheck):
        gradcheck.layer(Affine(w, b), x)

    pytest --gradcheck-report=reports

Loading this file loads neither JAX nor NumPy; a test that uses the fixture does.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--gradcheck-report`."""
    parser.getgroup("gradcheck", "gradient check").addoption(
        "--gradcheck-report",
        metavar="DIR",
        type=Path,
        help="write the report of each wrong gradient to DIR, as text and as JSON",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known that gives the fixture its options."""
    config.addinivalue_line(
        "markers",
        "gradcheck(allow=…): what the fixture `gradcheck` lets pass: identifiers of mistakes that leave the "
        "values right, such as 'mutated'",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Writes the report of a test that found a wrong gradient."""
    outcome: Any = yield
    folder = item.config.getoption("--gradcheck-report")
    reports = sys.modules.get("functional_nets.gradcheck.report")
    # A module that no test has loaded cannot have raised its error.
    if folder is not None and reports is not None and call.excinfo is not None:
        error: Any = call.excinfo.value
        if isinstance(error, reports.GradientMismatch):
            write(folder, item.nodeid, error.report)
    return outcome


def write(folder: Path, name: str, report: Any) -> None:
    """Writes a report to `folder/name.txt` and `folder/name.json`, with a name that every system allows."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.=-]+", "_", name).strip("_")[-180:]
    (folder / f"{stem}.txt").write_text(f"{name}\n{report}\n", encoding="utf-8")
    (folder / f"{stem}.json").write_text(report.to_json() + "\n", encoding="utf-8")


class Checker:
    """The checks of this package as assertions: each returns its report, or raises `GradientMismatch`.

    Args:
        allow: Identifiers of mistakes that are let pass where all values are right.
    """

    def __init__(self, allow: tuple[str, ...] = ()):
        self.allow = tuple(allow)

    def __call__(self, loss_fn: Callable[..., Any], params: Any, *args: Any, **options: Any) -> Any:
        """Asserts what `gradcheck.check` with the same arguments finds."""
        return self._asserted("check", loss_fn, params, *args, **options)

    def layer(self, layer: Any, *inputs: Any) -> Any:
        """Asserts that a layer's backward is the derivative of its forward."""
        return self._asserted("check_layer", layer, *inputs)

    def network(self, network: Any, x: Any, t: Any) -> Any:
        """Asserts that a network's gradient is that of its loss."""
        return self._asserted("check_network", network, x, t)

    def vjp(self, f: Callable[..., Any], *args: Any) -> Any:
        """Asserts that a custom rule is the derivative of what its function computes."""
        return self._asserted("check_vjp", f, *args)

    def _asserted(self, check: str, *args: Any, **options: Any) -> Any:
        from functional_nets import gradcheck

        report = getattr(gradcheck, check)(*args, **options)
        right = all(leaf.ok for leaf in report.leaves)
        if report.ok or (right and report.causes and all(c.mistake in self.allow for c in report.causes)):
            return report
        raise gradcheck.GradientMismatch(report)


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Checker:
    """Gradient checks as assertions, with the options of `@pytest.mark.gradcheck(…)`."""
    marker = request.node.get_closest_marker("gradcheck")
    return Checker(**marker.kwargs) if marker else Checker()
