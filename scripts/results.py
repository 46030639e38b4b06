"""Print what runs have found as the README's table: `python scripts/results.py RUN_FOLDER …`."""

import json
import platform
import sys
from pathlib import Path


def row(folder: Path) -> str:
    """Returns one line of the table, from a run's `result.json` and `config.json`."""
    result = json.loads((folder / "result.json").read_text())
    config = json.loads((folder / "config.json").read_text())
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
    print("| experiment | optimizer, learning rate | steps | test accuracy | test loss | gradients agree to |")
    print("|---|---|---|---|---|---|")
    print("\n".join(map(row, folders)))
    result = json.loads((folders[0] / "result.json").read_text())
    print(f"\nPython {platform.python_version()}, jax {result['jax']}, {', '.join(result['devices'])}")


if __name__ == "__main__":
    main()
