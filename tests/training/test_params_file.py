"""Parameters in a safetensors file: the bits that were saved, for us and for others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from functional_nets.training import CheckpointError, load_params, save_params

PARAMS = {
    "dense1": {"w": np.arange(6, dtype=np.float32).reshape(3, 2).T, "b": jnp.asarray([0.1, 0.2, 0.3], jnp.bfloat16)},
    "scale": np.float64(2.5) * np.ones(()),
}
LIKE = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), PARAMS)


@pytest.fixture
def file(tmp_path):
    save_params(tmp_path / "params.safetensors", PARAMS)
    return tmp_path / "params.safetensors"


@pytest.mark.parametrize("like", [None, LIKE], ids=["by path", "like a tree"])
def test_parameters_come_back_bit_for_bit(file, like):
    found = load_params(file, like)
    assert jax.tree.structure(found) == jax.tree.structure(PARAMS)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(PARAMS), strict=True):
        assert (a.dtype, np.asarray(a).tobytes()) == (b.dtype, np.asarray(b).tobytes())


def test_others_read_the_file_and_we_theirs(file):
    with safetensors.safe_open(file, "numpy") as opened:
        assert set(opened.keys()) == {"dense1/w", "dense1/b", "scale"}
        np.testing.assert_array_equal(opened.get_tensor("dense1/w"), PARAMS["dense1"]["w"])
    safetensors.numpy.save_file({"0.weight": np.ones((2, 3), np.float16)}, file, metadata={"format": "pt"})
    assert load_params(file)["0.weight"].dtype == np.float16


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({**LIKE, "more": LIKE["scale"]}, r"Expected 'more' to be float64 \[\], found none"),
        ({"scale": LIKE["scale"]}, r"Expected 'dense1/b' to be none, found bfloat16"),
        ({**LIKE, "scale": jnp.ones(2)}, r"Expected 'scale' to be float32 \[2\], found float64 \[\]"),
    ],
)
def test_parameters_of_another_model_are_refused_with_the_array_that_differs(file, like, message):
    with pytest.raises(CheckpointError, match=message):
        load_params(file, like)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"Expected a safetensors file, found .*file"):
        load_params(tmp_path / "file")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": {"b": np.ones(1)}, "a/b": np.ones(1)}, "found two alike"),
        ({"__metadata__": np.ones(1)}, "Expected another name than __metadata__"),
        ({"layer": {"kind": "dense"}}, "Expected an array of numbers as 'layer/kind', found 'dense'"),
        ({"layer": {"of": object}}, "Expected an array of numbers as 'layer/of', found "),
    ],
)
def test_what_could_not_be_read_again_is_not_saved(tmp_path, params, message):
    with pytest.raises(ValueError, match=message):
        save_params(tmp_path / "file", params)
    assert not (tmp_path / "file").exists()
