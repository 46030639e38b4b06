"""How good the gradient check is: planted faults found and named, right gradients left alone.

`python scripts/gradcheck_scoreboard.py` runs every case of `gradcheck_cases`. For each set it prints how many faults
were detected, how often the first cause had the right line and the right mistake, and how many right gradients
raised an alarm. A set was unseen when it came, and is no longer: what to expect of unseen faults is in the README.
"""

import argparse
import collections
import json
import multiprocessing
import pathlib
import signal
import statistics
import sys
import time
import traceback

sys.path[:0] = [str(pathlib.Path(__file__).parents[1]), str(pathlib.Path(__file__).parent)]


def verdict(case_id: str, x64: bool, limit: int) -> dict:
    """Run one case; an exception or too long a time is a miss, reported as such."""
    import jax
    from gradcheck_cases.collection import CASES, SET_OF

    jax.config.update("jax_enable_x64", x64)
    case = CASES[case_id]
    mistakes = sorted(case.mistakes) if case.is_wrong else []
    row = {"id": case_id, "is_wrong": case.is_wrong, "set": SET_OF[case_id], "mistakes": mistakes}
    row["lines"] = sorted(case.lines()) if case.is_wrong else []
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(limit)
    start = time.perf_counter()
    try:
        from functional_nets import gradcheck

        row |= _judge(case, row, case.report(gradcheck))
    except Exception as error:
        reported = "".join(traceback.format_exception(error)[-3:])
        row |= {"ok": None, "detected": False, "line": False, "mistake": False, "reported": reported}
    finally:
        signal.alarm(0)
    if not row["lines"]:
        row["line"] = None
    return row | {"seconds": time.perf_counter() - start}


def _too_long(signum, frame):
    raise TimeoutError("the case took too long")


def _judge(case, row, report) -> dict:
    causes = list(report.causes)
    first = causes[0] if causes else None
    place = [str(pathlib.Path(first.file).resolve()), first.line] if first is not None and first.file else None
    expected = [[file, line] for file, line in row["lines"]]
    return {
        "ok": bool(report.ok),
        "detected": not report.ok,
        "line": place in expected,
        "mistake": first is not None and first.mistake in row["mistakes"],
        "reported": str(report),
        "causes": [f"{c.mistake} {pathlib.Path(c.file or '').name}:{c.line}" for c in causes[:5]],
    }


def run(ids: list[str], jobs: int, x64: bool, limit: int) -> list[dict]:
    """The verdicts, in processes of their own if there is more than one job."""
    if jobs == 1:
        return [verdict(case_id, x64, limit) for case_id in ids]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        return pool.starmap(verdict, [(case_id, x64, limit) for case_id in ids], chunksize=4)


def percent(rows: list[dict], key: str) -> str:
    """How many of the rows that count have it."""
    counted = [row[key] for row in rows if row.get(key) is not None]
    return f"{sum(counted)}/{len(counted)} ({100 * sum(counted) / max(1, len(counted)):.1f} %)"


def print_set(title: str, rows: list[dict]) -> None:
    """The scores of one set."""
    faults = [row for row in rows if row["is_wrong"]]
    controls = [row for row in rows if not row["is_wrong"]]
    alarms = [row for row in controls if not row["ok"]]
    seconds = [row["seconds"] for row in rows] or [0.0]
    print(f"\n{title}: {len(faults)} faults, {len(controls)} right gradients")
    print(f"  detected             {percent(faults, 'detected')}")
    print(f"  line right first     {percent(faults, 'line')}")
    print(f"  mistake right first  {percent(faults, 'mistake')}")
    print(f"  false alarms         {len(alarms)}/{len(controls)}")
    print(f"  seconds per case     median {statistics.median(seconds):.2f}, max {max(seconds):.2f}")


def print_mistakes(rows: list[dict]) -> None:
    """One line for every mistake id; a fault with several acceptable ids counts for each."""
    groups = collections.defaultdict(list)
    for row in rows:
        for mistake in row["mistakes"]:
            groups[mistake].append(row)
    print(f"\n{'mistake':18}{'faults':>7}{'detected':>10}{'line':>6}{'mistake':>9}")
    for mistake, group in sorted(groups.items()):
        counts = [sum(bool(row[key]) for row in group) for key in ("detected", "line", "mistake")]
        print(f"{mistake:18}{len(group):7}{counts[0]:10}{counts[1]:6}{counts[2]:9}")


def print_misses(rows: list[dict], verbose: bool) -> None:
    """What was expected and what was reported, wherever the two differ."""
    for row in rows:
        if not row["is_wrong"] and row["ok"]:
            continue
        wrong = [key for key in ("detected", "line", "mistake") if row["is_wrong"] and row[key] is False]
        if row["is_wrong"] and not wrong:
            continue
        kind = f"not {', '.join(wrong)}" if row["is_wrong"] else "FALSE ALARM"
        expected = ", ".join(f"{pathlib.Path(file).name}:{line}" for file, line in row["lines"])
        print(f"\n{row['id']}: {kind}")
        print(f"  expected {' or '.join(row['mistakes']) or 'nothing'} {expected and 'at ' + expected}")
        print(f"  reported {'; '.join(row.get('causes', [])) or 'no cause'}")
        if verbose or row["ok"] is None:
            print("    " + row["reported"].replace("\n", "\n    "))


def print_rivals(ids: list[str]) -> None:
    """How many of the gradient faults the checks of JAX and PyTorch see; they name nothing."""
    from gradcheck_cases import rivals
    from gradcheck_cases.corpus import CONTROLS, FAULTS

    faults = [fault for fault in FAULTS if fault.id in ids]
    controls = [control for control in CONTROLS if control.id in ids]
    for name, check in rivals.available().items():
        found = sum(not rivals.accepts(check, fault) for fault in faults)
        alarms = sum(not rivals.accepts(check, control) for control in controls)
        print(f"{name}: detected {found}/{len(faults)}, false alarms {alarms}/{len(controls)}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases whose id contains TEXT")
    parser.add_argument(
        "--set", action="append", metavar="NAME", help="only this set, such as second (may be repeated)"
    )
    parser.add_argument("--misses", action="store_true", help="list what was expected and reported, where they differ")
    parser.add_argument("--verbose", action="store_true", help="print the whole report of a miss")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write every verdict to FILE")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--limit", type=int, default=120, help="seconds after which a case is a miss (default 120)")
    parser.add_argument("--x64", action="store_true", help="with jax_enable_x64, which is off by default")
    parser.add_argument("--rivals", action="store_true", help="also try check_grads of JAX and gradcheck of PyTorch")
    options = parser.parse_args()

    from gradcheck_cases.collection import CASES, SET_OF, SETS

    sets = [name for name in SETS if name in (options.set or SETS)]
    if unknown := set(options.set or ()) - set(SETS):
        parser.error(f"expected --set to be one of {', '.join(SETS)}, found {', '.join(sorted(unknown))}")
    ids = [case_id for case_id in CASES if options.only in case_id and SET_OF[case_id] in sets]
    rows = run(ids, options.jobs, options.x64, options.limit)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if options.misses:
        print_misses(rows, options.verbose)
    print_mistakes([row for row in rows if row["is_wrong"]])
    for name in sets:
        print_set(f"The {name} set", [row for row in rows if row["set"] == name])
    if len(sets) > 1:
        print_set("All", rows)
    if options.rivals:
        print_rivals(ids)


if __name__ == "__main__":
    main()
