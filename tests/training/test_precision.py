"""Who asks for bfloat16 where it is slow is told so."""

import pytest

from functional_nets.training import precision


@pytest.mark.parametrize(
    ("asked", "features", "told"),
    [
        ("bfloat16", {"avx2"}, True),
        ("bfloat16", {"avx2", "amx_bf16"}, False),
        ("bfloat16", set(), False),
        ("float32", {"avx2"}, False),
    ],
)
def test_it_is_said_when_the_processor_has_no_fast_path_and_only_then(monkeypatch, asked, features, told):
    monkeypatch.setattr(precision, "processor_features", lambda: features)
    notice = precision.slow_precision(asked)
    assert (notice is not None) == told
    assert not told or "slower than float32" in notice
