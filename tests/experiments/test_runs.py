"""What a run writes, and that equal runs are equal."""

import json
import re

import jax
import numpy as np
import pytest

from experiments import fashion_mnist, lenet, xor
from functional_nets import data, models
from functional_nets.models import mlp
from functional_nets.training import init_state, load_checkpoint, make_optimizer
from tests.experiments.conftest import images

QUICK = ("--no-gradient-check",)
RESULT_KEYS = {
    "experiment", "source", "test_accuracy", "test_loss", "train_loss", "steps", "compile_seconds",
    "train_seconds", "total_seconds", "params_sha256", "gradient_check", "jax", "jaxlib", "devices",
}  # fmt: skip


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def xor_run(tmp_path_factory):
    """A run of XOR with all that is on by default, 2,500 steps of its 10,001."""
    return xor.run(xor.Config(steps=2500, out=tmp_path_factory.mktemp("runs") / "xor"))


def test_a_run_writes_the_files_of_the_contract_and_no_other(xor_run):
    assert sorted(path.name for path in xor_run.folder.iterdir()) == [
        "checkpoints", "config.json", "metrics.jsonl", "pictures", "report.html", "result.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (xor_run.folder / "checkpoints").iterdir()) == [
        "step_000002000.safetensors", "step_000002500.safetensors",
    ]  # fmt: skip


def test_the_result_holds_what_the_contract_names(xor_run):
    result = result_of(xor_run.folder)
    assert set(result) >= RESULT_KEYS
    assert result["experiment"] == "xor"
    assert result["source"] == "embedded"
    assert result["steps"] == 2500
    assert result["jax"] == jax.__version__
    assert result["devices"] == [str(jax.devices()[0])]
    assert re.fullmatch("[0-9a-f]{64}", result["params_sha256"])
    assert result["total_seconds"] >= result["train_seconds"] + result["compile_seconds"] > 0


def test_the_witnesses_agree_on_the_gradients_before_the_first_step(xor_run):
    check = result_of(xor_run.folder)["gradient_check"]
    assert check["ok"] is True
    assert 0 <= check["largest_relative_error"] < 1e-3


def test_there_is_a_row_of_metrics_for_each_report_and_the_last_is_the_results(xor_run):
    rows, result = rows_of(xor_run.folder), result_of(xor_run.folder)
    assert [row["step"] for row in rows] == [1000, 2000, 2500]
    norms = {f"{kind}_norm/{layer}" for kind in ("gradient", "update", "parameter") for layer in ("hidden", "output")}
    assert set(rows[0]) == {"epoch", "step", "train_loss", "seconds", "test_accuracy", "test_loss", *norms}
    for score in ("test_accuracy", "test_loss", "train_loss"):
        assert rows[-1][score] == result[score]


def test_the_config_holds_every_option(xor_run):
    config = json.loads((xor_run.folder / "config.json").read_text())
    assert set(config) == {"experiment", *xor.Config.__dataclass_fields__}
    assert config["steps"] == 2500
    assert config["learning_rate"] == 0.5


def test_the_newest_checkpoint_holds_the_parameters_of_the_result_and_the_losses_of_a_row_begun(xor_run):
    like = init_state(xor.NOTEBOOK_PARAMS, make_optimizer("sgd", 0.5))
    found = load_checkpoint(xor_run.folder / "checkpoints", like)
    for a, b in zip(jax.tree.leaves(found.snapshot.state), jax.tree.leaves(xor_run.fit.state), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.snapshot.losses, xor_run.fit.losses[2000:])


def test_equal_runs_have_the_same_parameters_and_another_seed_has_others(command, few_images, tmp_path):
    hashes = []
    for folder, seed in (("first", 3), ("second", 3), ("other", 4)):
        ended = command("mnist", "--seed", seed, "--epochs", 2, "--out", tmp_path / folder, *QUICK)
        assert ended.status == 0, ended.err
        hashes.append(result_of(tmp_path / folder)["params_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def zeros(key, shape):
    """An initializer that need not be compiled."""
    return {"w": np.zeros(shape, np.float32), "b": np.zeros(shape[-1], np.float32)}


def test_fashion_mnist_trains_the_tutorials_network_in_the_datas_order(command, few_images, monkeypatch, tmp_path):
    sizes = []

    def small(asked, **options):
        sizes.append(asked)
        return mlp((784, 10), init=zeros, **options)

    monkeypatch.setattr(fashion_mnist, "mlp", small)
    out = tmp_path / "run"
    ended = command("fashion_mnist", "--epochs", 1, "--no-shuffle", "--out", out, *QUICK)
    assert ended.status == 0, ended.err
    assert result_of(out)["steps"] == 4  # 200 images in batches of 64.
    assert sizes == [(784, 512, 512, 10)]
    assert [name for name, _ in few_images] == ["fashion_mnist"]
    assert json.loads((out / "config.json").read_text())["shuffle"] is False


@pytest.mark.long
def test_lenet_trains_on_mnist_in_bfloat16_too(command, few_images, monkeypatch, tmp_path):
    monkeypatch.setattr(lenet, "lenet", lambda **options: models.lenet(init=zeros, **options))
    ended = command("lenet", "--epochs", 1, "--out", tmp_path / "run", "--precision", "bfloat16", *QUICK)
    assert ended.status == 0, ended.err
    assert result_of(tmp_path / "run")["steps"] == 4
    assert ended.out.splitlines()[0] == "lenet: 81,194 parameters, 1 epoch"
    assert [name for name, _ in few_images] == ["mnist"]


def test_a_run_that_is_not_told_where_writes_below_runs_and_its_name(command, tmp_path):
    for _ in range(2):
        assert command("xor", "--steps", 1, *QUICK).status == 0
    folders = list((tmp_path / "working folder" / "runs" / "xor").iterdir())
    assert len(folders) == 2
    assert all((folder / "result.json").is_file() for folder in folders)


def test_a_part_of_the_data_is_told_of_in_one_line_in_the_result_and_on_the_page(command, monkeypatch, tmp_path):
    part = images(200, 50)._replace(complete=False, notice="ONLY A PART OF THE DATA IS USED")
    monkeypatch.setattr(data, "load", lambda *_, **__: part)
    ended = command("mnist", "--steps", 1, "--out", tmp_path / "run", *QUICK)
    assert ended.out.splitlines()[1] == part.notice
    assert result_of(tmp_path / "run")["notice"] == part.notice
    assert part.notice in (tmp_path / "run" / "report.html").read_text()


def test_the_books_network_learns_the_real_images(command, tmp_path):
    ended = command("mnist", "--source", "embedded", "--epochs", 1, "--out", tmp_path / "run", *QUICK)
    assert ended.status == 0, ended.err
    result = result_of(tmp_path / "run")
    assert (result["steps"], result["source"]) == (600, "embedded")
    assert result["test_accuracy"] > 0.88


@pytest.mark.parametrize("name", ["xor", "mnist", "fashion_mnist", "lenet", "reproduce"])
def test_the_help_explains_every_option_with_its_default(command, name):
    ended = command(name, "--help")
    assert ended.status == 0
    module = __import__(f"experiments.{name}", fromlist=["Config"])
    shown = " ".join(ended.out.split())
    for field in module.Config.__dataclass_fields__.values():
        flag = "--" + ("no-" if field.default is True else "") + field.name.replace("_", "-")
        assert flag in shown
        assert field.metadata["help"] in shown
        if not isinstance(field.default, bool) and field.default is not None:
            assert f"(default: {field.default})" in shown
