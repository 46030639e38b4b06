"""Print what runs have found as the README's table: `python scripts/results.py RUN_FOLDER …`."""

import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments._records import read_record
from functional_nets.data import DataError


def row(folder: Path) -> str:
    """Returns one line of the table, from a run's `result.json` and `config.json`."""
    result, config = read_record(folder / "result.json"), read_record(folder / "config.json")
    setting = f"{config['optimizer']}, {config['learning_rate']:g}"
    return (
        f"| `{result['experiment']}` | {setting} | {result['steps']:,} | {result['test_accuracy']:.2%} "
        f"| {result['test_loss']:.4f} | {result['gradient_check']['largest_relative_error']:.0e} |"
    )


def main() -> None:
    """Prints the table of the folders named on the command line."""
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders or not all((folder / "result.json").is_file() for folder in folders):
        sys.exit("Expected folders that hold a result.json each, such as runs/mnist/…: run an experiment first.")
    try:
        rows = [row(folder) for folder in folders]
        result = read_record(folders[0] / "result.json")
        made_by = f"Python {platform.python_version()}, jax {result['jax']}, {', '.join(result['devices'])}"
    except DataError as error:
        sys.exit(str(error))
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"Expected results as the experiments write them, found something else ({error!r}): run them again.")
    print("| experiment | optimizer, learning rate | steps | test accuracy | test loss | gradients agree to |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows), made_by, sep="\n\n")


if __name__ == "__main__":
    main()
