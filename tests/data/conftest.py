"""Where the tests find data. None of them sees the user's own, and none reaches a network."""

import os
from pathlib import Path

import pytest

from functional_nets.data import embedded, idx, server
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import FILES, Contents, digest
from tests.data.made_data import few

REAL = Path(os.environ.get("FUNCTIONAL_NETS_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """No test sees the user's own data, writes into the user's cache, or downloads anything."""
    monkeypatch.delenv(idx.ENVIRONMENT, raising=False)
    monkeypatch.setattr(idx, "_INSTALLED", {"mnist": [], "fashion_mnist": []})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tensorflow_datasets"))
    monkeypatch.setenv(server.MIRROR, "http://127.0.0.1:1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `mnist/` and `fashion_mnist/`, each with its four published files."""
    if not all((REAL / name / f"{file}.gz").is_file() for name in ("mnist", "fashion_mnist") for file in FILES):
        pytest.skip(f"the published IDX files are not in {REAL}; set FUNCTIONAL_NETS_DATA to their folder")
    return REAL


@pytest.fixture(scope="session")
def mnist() -> Contents:
    return embedded.load("mnist")


@pytest.fixture
def tiny(monkeypatch) -> Contents:
    """A few examples that pass for all of MNIST in this test, so that it moves kilobytes."""
    contents = few()
    known = KNOWN["mnist"]._replace(title="tiny MNIST", digests=tuple(map(digest, contents)))
    monkeypatch.setitem(KNOWN, "mnist", known)
    return contents
