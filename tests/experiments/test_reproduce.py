"""The table of the published numbers."""

import json

import jax
import numpy as np
import pytest

from experiments import (
    _published_fashion,
    _published_mnist,
    _published_tape,
    _published_tensors,
    _published_xor,
    reproduce,
)
from experiments._published import NOTEBOOKS, PUBLISHED
from experiments._published_verdict import Same, Spread, Unanswered
from functional_nets import data
from functional_nets.data import Dataset, Split
from functional_nets.models import mlp
from tests.experiments.conftest import images


def differing(notebook, answers):
    return [row for row in reproduce.judged(notebook, answers) if row.differs]


def printed(notebook):
    return {what: text for _, what, text in PUBLISHED[notebook]}


def test_every_notebook_has_rows_each_named_once():
    assert set(PUBLISHED) == set(NOTEBOOKS) == set(reproduce.ANSWERS)
    for rows in PUBLISHED.values():
        assert len({what for _, what, _ in rows}) == len(rows) > 0


@pytest.mark.parametrize(
    ("notebook", "find"),
    [("000", _published_xor.answers), ("001", _published_tape.chain), ("003", _published_tensors.answers)],
)
def test_what_is_not_random_is_the_same_to_every_printed_digit(notebook, find):
    answers = find()
    assert set(answers) == set(printed(notebook))
    assert differing(notebook, answers) == []


def test_the_shopping_is_the_same_to_every_digit():
    answers = _published_tape.shopping()
    assert set(answers) <= set(printed("002"))
    assert all(answer.judge(printed("002")[what]).verdict == "same" for what, answer in answers.items())


@pytest.fixture(scope="module")
def mnist():
    return data.load("mnist", source="embedded")


@pytest.fixture(scope="module")
def gradient_errors(mnist):
    return _published_mnist._gradient_errors(mnist, seeds=4)


def test_the_bias_error_of_a_softmax_over_the_batch_is_the_notebooks(gradient_errors):
    what = "mean error of the gradient of b2"
    found = gradient_errors[what].ours
    assert found == pytest.approx(2 / 30 + 1.2e-10, abs=5e-12)
    assert found == pytest.approx(float(printed("002")[what]), abs=5e-12)


def test_the_errors_of_the_other_leaves_are_of_the_notebooks_size(gradient_errors):
    for leaf in ("w1", "b1", "w2"):
        what = f"mean error of the gradient of {leaf}"
        assert gradient_errors[what].values.shape == (4,)
        assert 0.5 < float(printed("002")[what]) / gradient_errors[what].values.mean() < 2


def test_the_notebooks_backward_is_right_for_a_softmax_of_each_row_and_wrong_for_its_own():
    random = np.random.RandomState(0)
    logits, labels = random.normal(size=(5, 10)).astype(np.float32), random.randint(0, 10, 5)
    exponentials = np.exp(logits)
    over_batch, truth = exponentials / exponentials.sum(), np.eye(10)[labels]
    written = jax.jit(jax.grad(_published_mnist.notebook_loss_and_backward))(logits, labels)
    right = jax.jit(jax.grad(_published_mnist.notebook_loss))(logits, labels)
    np.testing.assert_allclose(written, (over_batch - truth) / 5, atol=1e-6)
    np.testing.assert_allclose(right, over_batch - truth / 5, atol=1e-4)  # The loss adds 1e-7 to y.


def test_every_printed_number_of_002_has_an_answer_and_shares_of_digits_are_the_same(
    mnist, gradient_errors, monkeypatch
):
    # Training takes its time: what it ends in is told here, and found by the experiment itself.
    class Diverged:
        losses = np.array([[1.0, 2.0, np.nan, np.nan]])
        params = jax.tree.map(lambda leaf: leaf * np.nan, _published_mnist._draw(1))

    monkeypatch.setattr(_published_mnist.training, "fit_population", lambda *_, **__: Diverged)
    monkeypatch.setattr(_published_mnist, "_right_softmax", lambda *_: 0.97)
    monkeypatch.setattr(_published_mnist, "_gradient_errors", lambda *_: gradient_errors)
    answers = _published_mnist.answers(mnist, seeds=4)
    assert set(answers) == set(printed("002"))
    found = {row.what: row for row in reproduce.judged("002", answers)}
    for what, row in found.items():
        if "accuracy" in what or "shape" in what or "mask" in what:
            assert row.verdict in ("same", "reached"), row
    assert found["logits overflow to NaN between these steps"].ours == "2"
    assert found["two apples with tax"].verdict == "same"


def test_the_small_gradient_of_004_is_the_same():
    answers = _published_fashion._logistic()
    rows = [row for row in PUBLISHED["004"] if row[1] in answers]
    assert len(rows) == 3
    for _, what, text in rows:
        assert answers[what].judge(text).verdict == "same"


@pytest.fixture(scope="module")
def tiny_fashion():
    """As many images as Fashion-MNIST has for training, of one pixel each, and 70 for testing."""
    random = np.random.RandomState(0)

    def split(count):
        x = random.randint(0, 256, (count, 1, 1, 1)).astype(np.uint8)
        return Split(x, (x[:, 0, 0, 0] // 128).astype(np.int32))

    return Dataset(split(60_000), split(70), ("dark", "light"), "fashion_mnist", "idx")


@pytest.mark.long
def test_every_printed_number_of_004_has_an_answer_from_every_seed(tiny_fashion, monkeypatch):
    monkeypatch.setattr(_published_fashion, "mlp", lambda sizes: mlp((1, 2)))
    answers = _published_fashion.answers(tiny_fashion, seeds=3)
    assert set(answers) == set(printed("004"))
    first, later = (answers[f"epoch {epoch}, training loss of batch 0"].values for epoch in (1, 3))
    assert first.shape == (3,)
    assert (later < first).all()
    scores = answers["epoch 10, test accuracy, %"].values
    assert ((scores >= 0) & (scores <= 100)).all()


def test_the_test_loss_is_the_mean_of_the_batches_means_as_the_notebook_takes_it(tiny_fashion):
    test = tiny_fashion.test
    params = np.array([[0.5, -1.5]], np.float32)
    found = _published_fashion._test(lambda params, x: x.reshape(len(x), 1) @ params, params, test)
    logits = test.x.reshape(-1, 1) / 255 @ params.astype(np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(70), test.y]
    assert float(found["loss"]) == pytest.approx((losses[:64].mean() + losses[64:].mean()) / 2, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx((logits.argmax(1) == test.y).mean())


def test_a_part_of_fashion_mnist_is_not_compared_with_all_of_it():
    answers = _published_fashion.answers(images(20, 10)._replace(complete=False), seeds=3)
    assert set(answers) == set(printed("004"))
    assert answers["epoch 1, test loss"].judge("2.17").verdict.startswith("not run: needs all of Fashion-MNIST")


@pytest.mark.parametrize(("ours", "status"), [("8.0", 0), ("8.1", 1)])
def test_the_table_is_printed_and_written_and_the_status_says_whether_a_row_differs(
    command, monkeypatch, tmp_path, ours, status
):
    monkeypatch.setattr(reproduce, "PUBLISHED", {"000": (("In [1]", "a derivative", "8.0"), ("In [2]", "b", "2.5"))})
    answers = {"a derivative": Same(ours), "b": Spread(np.array([2.0, 3.0]), 1)}
    monkeypatch.setattr(reproduce, "ANSWERS", {"000": lambda images, seeds: answers})
    ended = command("reproduce", "--only", "000", "--out", tmp_path / "table")
    assert ended.status == status
    verdict = "DIFFERS" if status else "same"
    assert f"000       In [1]  a derivative  8.0      {ours}" in ended.out
    assert f"2 rows: 1 {verdict}, 1 within our distribution; 20 seeds" in ended.out
    written = json.loads((tmp_path / "table" / "table.json").read_text())
    assert [row["differs"] for row in written["rows"]] == [bool(status), False]
    lines = (tmp_path / "table" / "table.md").read_text().splitlines()
    assert lines[0] == "| notebook | cell | what | printed | ours | verdict |"
    assert lines[2] == f"| 000 | In [1] | a derivative | 8.0 | {ours} | {verdict} |"


def test_an_answer_that_is_missing_is_an_error():
    with pytest.raises(KeyError):
        reproduce.judged("003", {"x": Unanswered("not run")})
