"""One run of a training experiment, from its examples to its result."""

import contextlib
import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from experiments._command import OptionError, command_line
from experiments._display import Display
from experiments._folder import RunFolder
from experiments._options import FREE, TrainingConfig
from experiments._processes import check_same, mesh_of
from experiments._records import MOST_ROWS
from experiments._saving import Cadence, Saving
from experiments._start import starting
from functional_nets import training
from functional_nets.report import Section, write_report
from functional_nets.training import FitResult, Snapshot, TrainState
from functional_nets.training.parallel import processes, state_shardings

GRADIENT_CHECK_EXAMPLES = 4


class Result(NamedTuple):
    """What a run has found.

    Attributes:
        folder: Where it wrote.
        summary: What `result.json` holds.
        fit: Parameters, losses and times.
    """

    folder: Path
    summary: dict[str, Any]
    fit: FitResult


def train(
    name: str,
    config: TrainingConfig,
    loss_fn: Callable[..., jax.Array],
    params: Any,
    examples: Sequence[Any],
    evaluate: Callable[[Any], dict[str, float]],
    source: dict[str, Any],
    *,
    sections: Callable[[Any], Sequence[Section]] = lambda params: (),
    **options: Any,
) -> Result:
    """Checks the gradients, trains, and writes the files of a run.

    Args:
        name: The experiment's.
        config: Its configuration, checked.
        loss_fn: `loss_fn(params, *batch)`.
        params: Where training starts.
        examples: Inputs and labels.
        evaluate: From parameters to `test_accuracy` and `test_loss`.
        source: What `result.json` says of the data: `source`, and `notice` if they are only a part.
        sections: From the trained parameters to what the report shows beside what all reports do.
        options: More for `fit`.
    """
    start = time.perf_counter()
    if config.batch_size > len(examples[0]):
        raise OptionError(
            f"Expected --batch-size of at most {len(examples[0])}, as many as there are examples, "
            f"found {config.batch_size}: give a smaller one."
        )
    training.check_arithmetic()
    mesh = mesh_of(config)
    last_step = config.last_step(len(examples[0]))
    _refuse_endless(last_step, -(-len(examples[0]) // config.batch_size) * options.get("epochs_per_report", 1))
    cadence = Cadence.parse(config.checkpoint_every)
    key = jax.random.key(config.seed or 0)
    optimizer = training.make_optimizer(config.optimizer, config.learning_rate)
    data_contract = training.data_contract(examples, key)
    check_same(name, config, data_contract)
    contract = {
        "experiment": name,
        **{option: value for option, value in dataclasses.asdict(config).items() if option not in FREE},
        **data_contract,
        **training.environment(mesh),
    }
    initial = training.init_state(params, optimizer)
    if mesh is not None:
        state_shardings(initial, mesh)  # `fit` would refuse what cannot be split after the run's folder has been made.
    with starting(
        name, config, initial, contract, last_step,
        lambda: check_gradients(loss_fn, params, examples) if config.gradient_check else None,
    ) as started:  # fmt: skip
        folder, writes = started.folder, processes.is_first()
        saving = Saving(
            folder,
            {"contract": contract, "inexact": started.inexact},
            cadence=cadence,
            keep=config.keep_checkpoints,
            last_step=last_step,
            best=started.best,
        )
        if started.snapshot is None:
            saving.begin(Snapshot(initial, np.empty(0, np.float32)))
        notices = [source.get("notice"), training.slow_precision(config.precision), *started.notices]
        norms = training.make_layer_norms(loss_fn, optimizer, tuple(array[: config.batch_size] for array in examples))
        with Display(
            name, params, config if writes else dataclasses.replace(config, quiet=True, json=False, tensorboard=False),
            notice="\n".join(filter(None, notices)), folder=folder.path,
            first_step=started.first_step, row_begins=started.row_begins, last_step=last_step,
            seen=bool(source.get("seen")),
            examples_per_step=len(examples[0]) / -(-len(examples[0]) // config.batch_size),
        ) as display:  # fmt: skip

            def on_report(state: TrainState, row: dict[str, Any]) -> None:
                row.update(norms(state).as_row())
                display.row(row)
                saving.row(row)

            def on_chunk(snapshot: Snapshot) -> None:
                display.chunk(snapshot)
                saving.chunk(snapshot)

            with saving.stopping_on_signals(), _failing_with_its_story(folder, config):
                fitted = training.fit(
                    loss_fn,
                    params,
                    examples,
                    optimizer=optimizer,
                    batch_size=config.batch_size,
                    key=key,
                    evaluate=evaluate,
                    on_report=on_report,
                    on_chunk=on_chunk,
                    chunk_steps=cadence.steps,
                    state=started.snapshot,
                    devices=mesh or 1,
                    max_skipped=config.most_skipped,
                    probe=True,
                    **{**config.length, **options},
                )
                saving.wait()
            if not writes:
                return Result(folder.path, {}, fitted)
            rows = folder.metrics()
            summary = {
                "experiment": name,
                **source,
                "train_examples": len(examples[0]),
                **_measures(fitted, rows),
                "total_seconds": round(time.perf_counter() - start, 4),
                **({"inexact": started.inexact} if started.inexact else {}),
                "gradient_check": started.gradient_check,
                **_machine(mesh),
            }
            folder.finish(summary)
            options_given = dataclasses.asdict(config)
            command = command_line(name, config)
            write_report(folder.path, summary, rows, options_given, command, sections(fitted.params))
            display.finish(summary)
    return Result(folder.path, summary, fitted)


def _refuse_endless(last_step: int, steps_per_row: int) -> None:
    rows = last_step // steps_per_row
    if rows > MOST_ROWS or last_step >= 2**31:  # Steps are counted in int32.
        raise OptionError(
            f"Expected at most {MOST_ROWS:,} rows of metrics and {2**31 - 1:,} steps, "
            f"found {rows:,} and {last_step:,}: take fewer --epochs or --steps."
        )


def _measures(fitted: FitResult, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{name: rows[-1][name] for name in ("test_accuracy", "test_loss", "train_loss")},
        "steps": int(fitted.state.step),
        "compile_seconds": round(fitted.compile_seconds, 4),
        "train_seconds": round(sum(row["seconds"] for row in rows), 4),
        "params_sha256": training.tree_sha256(fitted.params),
        "bit_exact": fitted.bit_exact,
        **({"skipped": rows[-1]["skipped"]} if "skipped" in rows[-1] else {}),
    }


def _machine(mesh: Mesh | None) -> dict[str, Any]:
    environment = training.environment(mesh)
    return {
        "threads": environment["threads"],
        "jax": jax.__version__,
        "jaxlib": jax.lib.__version__,
        "devices": [str(device) for device in (jax.devices()[:1] if mesh is None else mesh.devices.flat)],
        "environment": {
            "python": platform.python_version(), "system": platform.platform(), "numpy": np.__version__, **environment,
        },
    }  # fmt: skip


@contextlib.contextmanager
def _failing_with_its_story(folder: RunFolder, config: TrainingConfig) -> Iterator[None]:
    """Has a run that stops on a number which is not finite say so in `failure.json`, too."""
    try:
        yield
    except training.NonFiniteLossError as error:
        error.learning_rate = config.learning_rate
        story = {
            "step": error.step, "epoch": error.epoch, "found": error.found, "loss": str(error.loss),
            "gradient_norm": str(error.gradient_norm), "learning_rate": error.learning_rate,
            "origin": str(error.origin) if error.origin else None, "message": str(error),
        }  # fmt: skip
        with contextlib.suppress(OSError):
            if processes.is_first():
                folder.write("failure.json", json.dumps(story, indent=2) + "\n")
        raise


def check_gradients(loss_fn: Callable[..., jax.Array], params: Any, examples: Sequence[Any]) -> dict[str, Any]:
    """Returns whether the witnesses agree with `jax.grad` on a few examples, and their largest error."""
    from functional_nets import gradcheck

    batch = [np.asarray(array[:GRADIENT_CHECK_EXAMPLES]) for array in examples]
    report = gradcheck.check(loss_fn, params, *batch)
    return {
        "ok": report.ok,
        "largest_relative_error": max(leaf.relative_error for leaf in report.leaves),
        "leaves": [
            {"path": leaf.path, "shape": list(leaf.shape), "relative_error": leaf.relative_error, "ok": leaf.ok}
            for leaf in report.leaves
        ],
    }
