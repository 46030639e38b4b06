"""What `scripts/benchmark.py` has measured, as the README's tables."""

from statistics import median
from typing import Any

# Floating-point operations of an epoch of 60,000 images: 2 a weight forward and 4 back, but 2 in the first layer,
# whose input needs no gradient.
PRODUCTS = {
    "mnist": 60_000 * (4 * 784 * 50 + 6 * 50 * 10),
    "fashion_mnist": 60_000 * (4 * 784 * 512 + 6 * (512 * 512 + 512 * 10)),
}


DISTURBED = 0.1
"""Share of the machine that others may take in a round that counts."""


def fastest(workload: dict[str, Any]) -> str:
    """Returns the name of the peer's loop with the least time, of all rounds."""
    loops = [name for name in workload["rounds"] if name != "ours"]
    return min(loops, key=lambda name: min(each["seconds"] for each in workload["rounds"][name]))


def counted(workload: dict[str, Any]) -> list[int]:
    """Returns the rounds in which nobody disturbed either side; all, if there is none."""
    ours, peer = workload["rounds"]["ours"], workload["rounds"][fastest(workload)]
    pairs = list(zip(ours, peer, strict=False))
    calm = [number for number, pair in enumerate(pairs) if max(each["others"] for each in pair) <= DISTURBED]
    return calm or list(range(len(pairs)))


def side(workload: dict[str, Any], name: str) -> list[dict[str, float]]:
    """Returns what the rounds that count have measured of ours or of one of the peer's loops."""
    return [workload["rounds"][name][number] for number in counted(workload)]


def middle(rounds: list[dict[str, float]], key: str = "seconds") -> float:
    """Returns the median of what the rounds measured."""
    return median(each[key] for each in rounds)


def ratios(workload: dict[str, Any]) -> list[float]:
    """Returns, of each round, the peer's time by ours, in rising order."""
    pairs = zip(side(workload, fastest(workload)), side(workload, "ours"), strict=True)
    return sorted(peer["seconds"] / (ours["seconds"] / workload["each"]) for peer, ours in pairs)


def seconds(value: float) -> str:
    """Returns a time with three digits and the unit that suits it."""
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{value * factor:#.3g}".rstrip(".") + f" {unit}"
    return f"{value * 1e6:#.3g}".rstrip(".") + " µs"


def times(value: float) -> str:
    """Returns a ratio with the digits that mean something."""
    return f"{value:,.0f}×" if value >= 100 else f"{value:.1f}×"


def line(workload: dict[str, Any]) -> str:
    """Returns one row: ours, the peer's fastest, the ratio and its spread, compile time and memory."""
    loop, spread = fastest(workload), ratios(workload)
    ours, peer = side(workload, "ours"), side(workload, loop)
    compiling = "" if workload["whole"] else seconds(middle(ours, "compile"))
    if workload["cold"]:
        compiling = f"cold cache {seconds(workload['cold']['seconds'])} in all"
    memory = " / ".join(f"{middle(rounds, 'megabytes'):.0f}" for rounds in (ours, peer))
    disturbed = max(each["others"] for each in (*ours, *peer))
    return (
        f"| {workload['title']} | {seconds(middle(ours) / workload['each'])} | {seconds(middle(peer))} ({loop}) "
        f"| **{times(median(spread))}** ({times(spread[0])} to {times(spread[-1])}) "
        f"| {len(spread)}, {disturbed:.0%} | {compiling} | {memory} |"
    )


def rates(result: dict[str, Any]) -> str:
    """Returns what the machine can do, and what share of it an epoch reaches."""
    machine = result["machine"]
    text = ", ".join(
        f"{machine[f'{name}_flop_per_second'] / 1e9:.0f} GFLOP/s in {name}" for name in ("float32", "bfloat16")
    )
    shares = [
        f"{result['workloads'][name]['title']}: "
        f"{work / machine['float32_flop_per_second'] / middle(side(result['workloads'][name], 'ours')):.0%}"
        for name, work in PRODUCTS.items()
        if name in result["workloads"]
    ]
    share = f" Share of the float32 rate that an epoch reaches: {'; '.join(shares)}." if shares else ""
    return f"{machine['cpu']}, {machine['cores']} cores: {text} in large matrix products.{share}"


def growth(found: dict[str, list[dict[str, float]]]) -> str:
    """Returns how the time grows, a row for each axis."""
    rows = [
        f"| {axis} | " + ", ".join(f"{each['value']:,}: {seconds(each['seconds'])}" for each in values) + " |"
        for axis, values in found.items()
    ]
    return "\n".join(["| as this grows | so does the time of an epoch |", "|---|---|", *rows])


def table(result: dict[str, Any]) -> str:
    """Returns all of it in Markdown."""
    rows = [line(workload) for workload in result["workloads"].values()]
    head = [
        "| workload | ours | PyTorch | PyTorch's time by ours | rounds, others' share | compiling | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    parts = ["\n".join([*head, *rows]), rates(result)]
    if result["growth"]:
        parts.append(growth(result["growth"]))
    return "\n\n".join(parts)
