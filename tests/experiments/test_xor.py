"""XOR: where the notebook's weights come from, and its losses to all printed digits."""

import jax
import numpy as np

from experiments import _published_xor, xor

# Notebook `000`, In [20].
LOSSES = "0.6927 0.2574 0.0210 0.0102 0.0067 0.0049 0.0039 0.0032 0.0028 0.0024 0.0021".split()  # noqa: SIM905


def test_the_notebooks_weights_are_the_second_draw_of_pytorchs_generator_from_seed_70():
    hidden, hidden_bias, output, output_bias = _published_xor.pytorch_networks(70)[1]
    drawn = {"hidden": {"w": hidden.T, "b": hidden_bias}, "output": {"w": output.T, "b": output_bias}}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), xor.NOTEBOOK_PARAMS, drawn)


def test_the_default_run_has_the_eleven_losses_of_the_notebook_and_learns_xor(tmp_path):
    result = xor.run(xor.Config(out=tmp_path / "run", gradient_check=False))
    assert [f"{loss:.4f}" for loss in result.fit.losses[::1000]] == LOSSES
    assert result.summary["test_accuracy"] == 1.0
    assert result.summary["steps"] == 10_001
