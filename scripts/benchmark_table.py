"""What `scripts/benchmark.py` has measured, as the README's tables."""

from statistics import median
from typing import Any, NamedTuple

# Floating-point operations of an epoch of 60,000 images: 2 a weight forward and 4 back, but 2 in the first layer,
# whose input needs no gradient.
PRODUCTS = {
    "mnist": 60_000 * (4 * 784 * 50 + 6 * 50 * 10),
    "fashion_mnist": 60_000 * (4 * 784 * 512 + 6 * (512 * 512 + 512 * 10)),
}


DISTURBED = 0.1
"""Share of the machine that others may take in a round that counts."""


class Pair(NamedTuple):
    """What a round has measured: of ours, and of the peer's loop that was fastest in it."""

    ours: dict[str, float]
    peer: dict[str, float]
    loop: str


def pairs(workload: dict[str, Any]) -> list[Pair]:
    """Returns the rounds in which nobody disturbed either side; all, if there is none."""
    rounds = dict(workload["rounds"])
    ours = rounds.pop("ours")
    every = []
    for number, own in enumerate(ours):
        loops = {loop: measured[number] for loop, measured in rounds.items() if number < len(measured)}
        loop = min(loops, key=lambda name: loops[name]["seconds"])
        every.append(Pair(own, loops[loop], loop))
    return [pair for pair in every if max(pair.ours["others"], pair.peer["others"]) <= DISTURBED] or every


def middle(rounds: list[dict[str, float]], key: str = "seconds") -> float:
    """Returns the median of what the rounds measured."""
    return median(each[key] for each in rounds)


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
    counted = pairs(workload)
    ours, peer = [pair.ours for pair in counted], [pair.peer for pair in counted]
    spread = sorted(pair.peer["seconds"] / (pair.ours["seconds"] / workload["each"]) for pair in counted)
    compiling = "" if workload["whole"] else seconds(middle(ours, "compile"))
    if workload["cold"]:
        compiling = f"cold cache {seconds(workload['cold']['seconds'])} in all"
    memory = " / ".join(f"{middle(rounds, 'megabytes'):.0f}" for rounds in (ours, peer))
    disturbed = max(each["others"] for each in (*ours, *peer))
    loops = " or ".join(sorted({pair.loop for pair in counted}))
    return (
        f"| {workload['title']} | {seconds(middle(ours) / workload['each'])} | {seconds(middle(peer))} ({loops}) "
        f"| **{times(median(spread))}** ({times(spread[0])} to {times(spread[-1])}) "
        f"| {len(spread)}, {disturbed:.0%} | {compiling} | {memory} |"
    )


def rates(result: dict[str, Any]) -> str:
    """Returns what the machine can do, and what share of it an epoch reaches."""
    machine = result["machine"]
    text = ", ".join(
        f"{machine[f'{name}_flop_per_second'] / 1e9:.0f} GFLOP/s in {name}" for name in ("float32", "bfloat16")
    )
    limits = {name: work / machine["float32_flop_per_second"] for name, work in PRODUCTS.items()}
    measured = {name: result["workloads"][name] for name in PRODUCTS if name in result["workloads"]}
    shares = [
        f"{workload['title']}: {limits[name] / middle([pair.ours for pair in pairs(workload)]):.0%}"
        for name, workload in measured.items()
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
