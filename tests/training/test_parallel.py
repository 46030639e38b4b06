"""Several devices give what one gives. A process of its own has eight, on any machine."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from functional_nets.models import lenet, mlp, xor_net
from functional_nets.training import DevicesError, make_mesh
from functional_nets.training.parallel import state_shardings
from tests.training.eight_devices import STEPS, WAYS

CHECKOUT = Path(__file__).parents[2]

# What is the same but for the order of float additions differs by rounding alone. A step's gradient and loss are sums
# of at most N = 784 + 20 terms in a row (a product's 784, then a batch's 20), whose float32 roundings have a relative
# size of u = 2^-24 at most: 2 N u in the worst case for two orders, and sqrt(2 N) u where they are independent, as the
# roundings of different operations are. T steps add as many of these, so sqrt(2 N T) u; and training may stretch a
# difference before it ends, for which there is a factor of 8. A padded row in a mean of ten would be 10 % off.
TOLERANCE = 8 * math.sqrt(2 * 804 * STEPS) * 2.0**-24  # 2.7e-4


def eight_devices(**asked):
    """What tests/training/eight_devices.py prints."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": str(CHECKOUT)}
    command = [
        sys.executable,
        "-m",
        "tests.training.eight_devices",
        json.dumps({"losses": {}, "collectives": [], **asked}),
    ]
    run = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def seen():
    """What is quickly seen: one network on one and eight devices, and the wide one's program on eight."""
    return eight_devices(losses={"mnist": ["1", "8"]}, collectives=[("fashion_mnist", 16, "8")])


def assert_all_agree(losses):
    for way, found in losses.items():
        assert len(found) == STEPS
        np.testing.assert_allclose(found, losses["1"], rtol=TOLERANCE, err_msg=way)


def test_eight_devices_give_the_losses_of_one_over_two_hundred_steps_batches_that_do_not_divide_too(seen):
    assert_all_agree(seen["losses"]["mnist"])


@pytest.mark.long
@pytest.mark.parametrize("network", ["xor", "mnist", "fashion_mnist", "lenet"])
def test_every_experiments_network_gives_the_losses_of_one_device_each_way(network):
    assert_all_agree(eight_devices(losses={network: list(WAYS)})["losses"][network])


@pytest.mark.long
def test_a_loss_that_is_no_mean_over_the_examples_is_right_on_many_devices_too():
    assert_all_agree(eight_devices(losses={"not_a_mean": ["1", "4", "8"]})["losses"]["not_a_mean"])


def test_a_state_that_training_goes_on_from_is_left_as_it_is(seen):
    assert seen["kept"]


def test_a_step_sends_all_gradients_and_the_loss_at_once(seen):
    ((types, kind),) = seen["collectives"][0]
    assert kind == "all-reduce"
    assert sorted(re.findall(r"f32\[[0-9,]*\]", types)) == sorted(
        ["f32[512,784]", "f32[512]", "f32[512,512]", "f32[512]", "f32[10,512]", "f32[10]", "f32[]"]
    )


@pytest.mark.long
def test_split_layers_send_each_their_share_and_the_sums_of_the_second():
    (found,) = eight_devices(collectives=[("fashion_mnist", 16, "4x2")])["collectives"]
    shares = [types for types, _ in found]
    assert any("f32[256,784]" in types for types in shares)
    assert not any("f32[512,784]" in types for types in shares)


@pytest.mark.long
def test_every_network_sends_one_sum_a_step_and_batches_that_do_not_divide_indices_beside_it():
    even = [("xor", 4, "4"), ("mnist", 16, "8"), ("lenet", 16, "8")]
    uneven = [("mnist", 10, "8"), ("lenet", 10, "8")]
    found = eight_devices(collectives=even + uneven)["collectives"]
    assert [[kind for _, kind in each] for each in found[: len(even)]] == [["all-reduce"]] * len(even)
    for each in found[len(even) :]:
        assert [kind for types, kind in each if "f32" in types] == ["all-reduce"]
        assert all("s32" in types for types, _ in each if "f32" not in types)


def test_one_device_needs_no_mesh():
    assert make_mesh(1) is None
    assert make_mesh() is None
    assert make_mesh(axes="data=1,model=1") is None


@pytest.mark.parametrize("count", [99, 0, -1])
def test_devices_that_are_not_there_are_refused_with_those_that_are(count):
    with pytest.raises(DevicesError, match=f"found {count}: this machine has ") as refused:
        make_mesh(count)
    assert str(jax.devices()[0]) in str(refused.value)
    assert ("JAX_NUM_CPU_DEVICES=99" in str(refused.value)) == (count == 99)


@pytest.mark.parametrize(
    ("devices", "axes", "message"),
    [
        (1, "data=4,model=2", "Expected a mesh of 1 devices, found data=4,model=2, which is 8"),
        (None, "data=4,model=2", "found 8: this machine has"),
        (None, "data=4;model=2", "Expected a mesh such as data=4,model=2, found 'data=4;model=2'"),
        (None, "data=0", "found 'data=0'"),
        (None, "data=2,data=2", "name each axis once"),
        (None, "rows=2", "found 'rows=2'"),
        (None, "", "found ''"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(devices, axes, message):
    with pytest.raises(DevicesError, match=re.escape(message)):
        make_mesh(devices, axes)


MESH = AbstractMesh((4, 2), ("data", "model"))  # Of no devices: enough to ask what each would hold.


@pytest.mark.parametrize(
    ("model", "halved"),
    [
        (mlp((784, 512, 512, 10)), {"dense1/w": (784, 256), "dense1/b": (256,), "dense2/w": (256, 512)}),
        (lenet(), {"dense1/w": (576, 60), "dense1/b": (60,), "dense2/w": (60, 84)}),
        (xor_net(), {"hidden/w": (2, 1), "hidden/b": (1,), "output/w": (1, 1)}),
    ],
)
def test_a_layers_name_tells_what_is_split_and_the_optimizers_memory_lies_beside_it(model, halved):
    params = jax.eval_shape(model.init, jax.random.key(0))
    state = {"params": params, "opt_state": ({"mu": params},)}
    shapes = jax.tree.map(lambda leaf, place: place.shard_shape(leaf.shape), state, state_shardings(state, MESH))
    whole = {f"{layer}/{name}": leaf.shape for layer, leaves in params.items() for name, leaf in leaves.items()}
    for tree in (shapes["params"], shapes["opt_state"][0]["mu"]):
        found = {f"{layer}/{name}": shape for layer, shapes in tree.items() for name, shape in shapes.items()}
        assert {name: shape for name, shape in found.items() if shape != whole[name]} == halved


def test_a_layer_that_cannot_be_split_evenly_is_refused():
    params = jax.eval_shape(mlp((784, 51, 10)).init, jax.random.key(0))
    with pytest.raises(DevicesError, match="Expected model=2 to divide the 51 units of dense1/b"):
        state_shardings(params, MESH)
