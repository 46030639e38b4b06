"""Whether a narrow type is a fast one here."""

from pathlib import Path

import jax

FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
"""Names that Linux gives to the instructions that multiply bfloat16: Intel's and AMD's, and Arm's last."""


def slow_precision(precision: str) -> str | None:
    """Returns a line that says so when `precision` is slower here than float32; None where it is not or is unknown.

    Args:
        precision: `float32` or `bfloat16`.
    """
    features = processor_features()
    if precision != "bfloat16" or jax.default_backend() != "cpu" or not features or features & {*FAST_BFLOAT16}:
        return None
    return (
        "bfloat16 is slower than float32 on this processor, which has no instructions for it "
        "(AMX or AVX512-BF16): it shows how accurate the products are, and saves no time."
    )


def processor_features() -> set[str]:
    """Returns the names of the processor's instruction sets as Linux tells them; elsewhere none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":")[1].split()}
