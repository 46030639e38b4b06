"""The engine that runs trials through Ray Tune: on the cores of this machine, or on the machines of a Ray cluster."""

import contextlib
import functools
import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from experiments._command import OptionError
from experiments._engine import Watch, Work
from experiments._ray_search import check_optuna, make_searcher
from experiments._ray_trial import SCORE, TIME, TRIAL, Shared, run_trial
from experiments._single_trial import Score
from experiments._trials import Trial
from functional_nets import training
from functional_nets.report.sweep import Tried

LOCAL = "local"
REACHED = 10.0
"""Seconds in which a port of a cluster has to answer."""
HEALTHY = 30.0
"""Seconds in which a cluster has to say that it is well; starting the command that asks takes most of them."""
MODE, AS_IT_IS = "RAY_AUTH_MODE", dict[str, str]()
"""The variable by which a process shows the user's token to a cluster that asks for it, as Ray itself does not."""
RETRIES = 2
"""How often a trial is begun again whose process or machine was lost."""

# Before Ray is imported: nothing is sent anywhere, Ctrl-C ends the sweep, and only its own table is written.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # Of the two ways to show progress, the one that `verbose=0` silences.
}
PASSED_ON = ("FUNCTIONAL_NETS_", "JAX_", "PJRT_", "XLA_")
"""Beginnings of the variables that trials see as this process sees them."""


class RayEngine:
    """Trains each trial in a process of a Ray cluster as its command does alone, to the same bits on the same hardware.

    What has begun is kept in the sweep's folder, where the cluster's machines see it.

    Args:
        address: HOST:PORT of a cluster, or `local` for one that is started here and ends with the sweep.
        scheduler: `none`, or `asha` to stop trials that do worse than half of those that have come as far.
        gpus: GPUs of each trial.
        at_once: Trials at the same time, at most.
        search: `random` where the trials are drawn, `optuna` where it is to propose them.
    """

    def __init__(self, address: str, scheduler: str, gpus: int, at_once: int, search: str):
        self._address, self._scheduler, self._gpus, self._at_once = address, scheduler, gpus, at_once
        self._search = search

    def manner(self, trials: Sequence[Trial]) -> str:
        """Returns that Ray trains them."""
        return "through Ray" + (" with ASHA" if self._scheduler == "asha" else "")

    def __enter__(self) -> Self:
        """Starts or joins the cluster."""
        os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
        missing = [name for name in ("ray", "pandas", "pyarrow") if importlib.util.find_spec(name) is None]
        if missing:
            raise OptionError(
                f"Expected Ray Tune for --engine ray, found no {missing[0]}: pip install 'functional_nets[ray]'."
            )
        if self._search == "optuna":
            check_optuna()
        if self._address != LOCAL:
            _check_address(self._address)
        import ray  # Now, since it reads the environment when it is imported.

        passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        try:
            ray.init(
                self._address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
                runtime_env={"env_vars": passed_on},
            )  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise OptionError(f"Expected to join Ray at {self._address}, found: {reason}") from None
        self._check_resources(ray.cluster_resources())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the cluster, which ends if it was started here."""
        import ray

        ray.shutdown()

    def _check_resources(self, found: Mapping[str, float]) -> None:
        for name, needed in (("CPU", 1.0), ("GPU", self._gpus)):
            if found.get(name, 0.0) < needed:
                self.__exit__(None, None, None)
                raise OptionError(
                    f"Expected {needed:g} {name} for each trial, found {found.get(name, 0.0):g} in the Ray cluster: "
                    "give --gpus-per-trial as the cluster has them, or add a machine."
                )

    def train(self, work: Work, watch: Watch) -> None:
        """Trains all trials of the work; each is told of as soon as it has ended.

        Raises:
            OptionError: When a machine of the cluster cannot train them, as when it has other data.
        """
        from ray import tune

        proposed, data_dir = work.search.drawn is None, work.search.ends[0].config.data_dir
        left = work.search.planned - len(work.tried)
        watch.begin("trials", left)
        telling = _make_callback(work, watch)
        shared = Shared(
            work.experiment,
            work.problem.source,
            data_dir and data_dir.absolute(),
            data_sha256=training.tree_sha256(tuple(work.problem.examples)),
            unfinished=work.unfinished.absolute(),
            on_the_way=self._scheduler != "none",
        )
        with tempfile.TemporaryDirectory(prefix="functional_nets-ray-") as scratch:  # The sweep's table is all we keep.
            tuner = tune.Tuner(
                tune.with_resources(functools.partial(run_trial, shared), {"cpu": 1, "gpu": self._gpus}),
                param_space={} if proposed else {TRIAL: tune.grid_search(list(work.trials))},
                tune_config=tune.TuneConfig(
                    metric=SCORE, mode="max", reuse_actors=True, max_concurrent_trials=self._at_once,
                    scheduler=self._make_scheduler(work), search_alg=make_searcher(work) if proposed else None,
                    num_samples=left if proposed else 1,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch, verbose=0, callbacks=[telling],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                ),
            )  # fmt: skip
            try:
                results = tuner.fit()
            except tune.TuneError as error:  # Which is all that Ray Tune lets through of what is raised in a callback.
                raise telling.error or error from None
        if results.errors:
            raise results.errors[0]

    def _make_scheduler(self, work: Work) -> Any:
        if self._scheduler == "none":
            return None
        from ray.tune.schedulers import ASHAScheduler

        examples = len(work.problem.examples[0])
        configs = [trial.config for trial in work.search.ends]
        steps, sizes = [each.last_step(examples) for each in configs], [each.batch_size for each in configs]
        least, most = (-(-end(steps) * end(sizes) // examples) for end in (min, max))  # No trial's epochs are beyond.
        between = work.problem.task(configs[0]).epochs_per_report
        return ASHAScheduler(time_attr=TIME, max_t=most, grace_period=min(between, least), reduction_factor=2)


def _make_callback(work: Work, watch: Watch) -> Any:
    from ray import tune

    class Telling(tune.Callback):
        """Passes on what each trial has found, as soon as it has ended."""

        def __init__(self) -> None:
            self.error: Exception | None = None
            self._done = 0

        def __reduce__(self) -> tuple[Any, ...]:
            return tune.Callback, ()  # Ray Tune keeps a copy of all that it is given, to go on from. We never do.

        def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **_: Any) -> None:
            if refused := result.get("refused"):
                self.error = OptionError(refused)
                raise self.error

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            found = Score(**{name: trial.last_result[name] for name in Score._fields})
            self._done += 1
            try:
                watch.ended([_tried(trial.config[TRIAL], found)])
            except OSError as error:  # Such as a full disk.
                self.error = error
                raise
            watch.count(self._done)
            shutil.rmtree(work.unfinished / str(trial.config[TRIAL].number), ignore_errors=True)

    return Telling()


def _tried(trial: Trial, score: Score) -> Tried:
    if score.test_accuracy is None:
        return Tried(trial.number, trial.values, diverged_at=score.step)
    measured = (score.test_accuracy, score.test_loss, score.train_loss)
    return Tried(trial.number, trial.values, *measured, stopped_at=None if score.ended else score.step)


def _check_address(address: str) -> None:
    """Raises OptionError unless a Ray cluster answers; Ray itself would try for two minutes, and say what it tries."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) < 2**16):
        raise OptionError(f"Expected --ray-address as HOST:PORT, or local, found {address!r}: 10.0.0.5:6379 is one.")
    advice = "start a cluster there by ray start --head, or take local."
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED).close()
    except OSError as error:
        raise OptionError(f"Expected a Ray cluster at {address}, found {error.strerror or error}: {advice}") from None
    ask = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    for mode in [AS_IT_IS] if MODE in os.environ else [AS_IT_IS, {MODE: "token"}]:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(ask, env={**os.environ, **mode}, capture_output=True, timeout=HEALTHY, check=True)
            os.environ.update(mode)
            return
    raise OptionError(
        f"Expected a Ray cluster at {address}, found nothing there that says it is a healthy Ray cluster: {advice}"
    )
