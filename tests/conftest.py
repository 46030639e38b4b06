"""Settings of the whole suite."""

import os

import jax
import pytest


@pytest.fixture(scope="session", autouse=True)
def compile_each_program_once(tmp_path_factory):
    """Keeps what has been compiled on the disk, for this session: many tests run the same small programs."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.getbasetemp() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    os.environ["FUNCTIONAL_NETS_CACHE"] = str(tmp_path_factory.getbasetemp() / "programs")  # For what tests start.


def pytest_addoption(parser):
    """Adds an option for those who change the corpus of wrong gradients."""
    parser.addoption("--all-cases", action="store_true", help="every case of scripts/gradcheck_cases, and long tests")


def pytest_collection_modifyitems(config, items):
    """Leaves the long tests out, unless they are asked for."""
    if not config.getoption("--all-cases"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: --all-cases runs it"))
