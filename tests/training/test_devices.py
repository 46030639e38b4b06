"""Several devices give what one gives. A process of its own has two, on any machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from functional_nets.training import DevicesError, batch_sharding

CHECKOUT = Path(__file__).parents[2]

TWO_DEVICES = """
import json, jax, numpy as np, optax
jax.config.update("jax_num_cpu_devices", 2)
from functional_nets.training import fit
from tests.training.problems import DATA, PARAMS, loss
results = [
    fit(
        loss, PARAMS, DATA, optimizer=optax.adam(0.1), batch_size=4, epochs=2, key=jax.random.key(0),
        devices=count,
    )
    for count in (1, 2)
]
print(json.dumps({
    "losses": [result.losses.tolist() for result in results],
    "w": [np.asarray(result.params["w"]).tolist() for result in results],
    "devices": [len(result.params["w"].devices()) for result in results],
}))
"""


def test_two_devices_give_the_losses_of_one_to_rounding_the_uneven_last_batch_too():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found["devices"] == [1, 2]
    np.testing.assert_allclose(*found["losses"], rtol=1e-5)
    np.testing.assert_allclose(*found["w"], rtol=1e-4)


def test_one_device_needs_no_sharding():
    assert batch_sharding(1) is None


@pytest.mark.parametrize("count", [99, 0, -1])
def test_devices_that_are_not_there_are_refused_with_those_that_are(count):
    with pytest.raises(DevicesError, match=f"found {count}: this machine has ") as refused:
        batch_sharding(count)
    assert str(jax.devices()[0]) in str(refused.value)
