"""Parameters in PyTorch's layout: the names of a `state_dict`, and its order of axes. PyTorch itself is not needed.

PyTorch keeps one row of a matrix per output and a kernel as [outputs, inputs, height, width], and flattens images
channel by channel; here outputs come last everywhere, and images are flattened pixel by pixel.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from functional_nets.models.layers import Layer, layers_of, with_layers, with_numbers

WEIGHTS = ("w", "kernel", "scale", "embedding")
BIASES = ("b", "bias")
AS_IT_IS = ("scale", "embedding")
"""Weights that have the same order of axes in PyTorch."""
Names = Mapping[str, str] | Iterable[str]


def to_state_dict(params: Any, names: Names | None = None) -> dict[str, np.ndarray]:
    """Returns parameters as PyTorch's `load_state_dict` takes them, once each is a tensor.

        model.load_state_dict({name: torch.tensor(value) for name, value in to_state_dict(params).items()})

    The first dense layer after a convolution takes the flattened image in PyTorch's order of channels.

    Args:
        params: Nested dicts whose innermost hold `w` and `b`, or `kernel` and `bias` as in Flax.
        names: What PyTorch calls the layers: from each name here, such as `block/dense1`, to the one there; or
            those alone, in order, such as `("0", "2", "4")` for the dense layers of an `nn.Sequential`. By default
            as here, with points: `block.dense1`.

    Raises:
        ValueError: A layer is of another kind, or the names do not fit. A transposed convolution is told by its name
            alone, which begins with `ConvTranspose` in Flax.
    """
    layers = layers_of(params)
    _refuse_other_kinds(layers)
    found = {}
    for layer, name, channels in zip(layers, _names(names, layers), _channels(layers), strict=True):
        for key, value in layer.arrays.items():
            there = f"{name}.{_name_there(layer, key)}"
            found[there] = np.asarray(_outputs_first(key, np.asarray(value), channels), order="C")
    return found


def from_state_dict(state_dict: Mapping[str, Any], like: Any, names: Names | None = None) -> Any:
    """Returns the parameters of a PyTorch `state_dict` as a tree like `like`, of NumPy arrays.

    Args:
        state_dict: From names such as `0.weight` to tensors or arrays.
        like: Parameters of the model, for names and shapes; `jax.eval_shape(model.init, key)` will do.
        names: As for `to_state_dict`. By default layers of equal names belong together if all have one, and else
            the layers in order, in which 10 follows 9: here that of the names, there that of the names or that of
            the `state_dict`, whichever fits. (A safetensors file has lost the latter.)

    Raises:
        ValueError: An array is missing, left over or of another shape, or the order cannot be told.
    """
    layers = layers_of(like)
    _refuse_other_kinds(layers)
    there = list(dict.fromkeys(name.rpartition(".")[0] for name in state_dict))
    if names is not None or set(there) == set(_names(None, layers)):
        return with_layers(like, _filled(state_dict, layers, _names(names, layers)))
    found, errors = [], []
    for order in _orders(there):
        try:
            found.append(_filled(state_dict, layers, _names(order, layers)))
        except ValueError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    if len(found) > 1:
        raise ValueError(f"Expected one order in which the layers fit, found two of {', '.join(there)}: give names.")
    return with_layers(like, found[0])


def _orders(names: list[str]) -> list[list[str]]:
    """Returns the orders in which layers of these names may follow each other; one, if numbers tell it."""
    sorted_names = sorted(names, key=with_numbers)
    if len({re.sub(r"\d+", "", name) for name in names}) == 1 or sorted_names == names:
        return [sorted_names]
    return [names, sorted_names]


def _filled(state_dict: Mapping[str, Any], layers: list[Layer], names: list[str]) -> list[Layer]:
    """Returns the layers with PyTorch's arrays in place of their own."""
    left, filled = dict(state_dict), []
    for layer, name, channels in zip(layers, names, _channels(layers), strict=True):
        arrays = {}
        for key, value in layer.arrays.items():
            found = left.pop(full := f"{name}.{_name_there(layer, key)}", None)
            if found is None:
                raise ValueError(f"Expected {full} for {layer.name}/{key}, found {', '.join(state_dict)}: give names.")
            arrays[key] = _fitting(full, _outputs_last(key, _numbers(found), channels), value, f"{layer.name}/{key}")
        filled.append(layer._replace(arrays=arrays))
    if left:
        raise ValueError(f"Expected a place for each array, found none for {', '.join(left)}: this is another network.")
    return filled


def _names(names: Names | None, layers: list[Layer]) -> list[str]:
    """Returns PyTorch's name of each layer."""
    if names is None:
        return [layer.name.replace("/", ".") for layer in layers]
    if isinstance(names, Mapping):
        missing = [layer.name for layer in layers if layer.name not in names]
        if missing:
            raise ValueError(f"Expected a name for each layer, found none for {', '.join(missing)}: add it.")
        return [names[layer.name] for layer in layers]
    found = list(names)
    if len(found) != len(layers):
        here = ", ".join(layer.name for layer in layers)
        raise ValueError(f"Expected as many names as layers, {len(layers)} ({here}), found {len(found)}: {found}.")
    return found


def _refuse_other_kinds(layers: list[Layer]) -> None:
    """Raises ValueError for layers whose weights look like those of a convolution and are none."""
    for layer in layers:
        parts = layer.name.split("/")
        transposed = any("convtranspose" in part.lower().replace("_", "") for part in parts)
        kernel = layer.arrays.get("kernel")
        heads = parts[-1] in ("query", "key", "value", "out") and kernel is not None and len(kernel.shape) == 3
        if transposed or heads:
            kind = "a transposed convolution" if transposed else "the heads of an attention"
            raise ValueError(f"Expected dense layers and convolutions, found {kind}, {layer.name}: convert it by hand.")


def _channels(layers: list[Layer]) -> list[int]:
    """Returns for each layer how many channels lie in each pixel that it takes flattened; 1 if it takes no image."""
    found, last = [], 1
    for layer in layers:
        weight = next((value for key, value in layer.arrays.items() if key in ("w", "kernel")), None)
        axes = 0 if weight is None else len(weight.shape)
        if axes == 2 and last > 1 and weight is not None and weight.shape[0] % last:
            raise ValueError(
                f"Expected {layer.name} to take all pixels of {last} channels, found {weight.shape[0]} inputs: "
                "its order cannot be told; convert this layer by hand."
            )
        found.append(last if axes == 2 else 1)
        if axes >= 2:
            last = weight.shape[-1] if axes > 2 and weight is not None else 1
    return found


def _name_there(layer: Layer, key: str) -> str:
    if key in WEIGHTS:
        return "weight"
    if key in BIASES:
        return "bias"
    known = ", ".join(WEIGHTS + BIASES)
    raise ValueError(f"Expected arrays named {known}, found {layer.name}/{key}: convert this layer by hand.")


def _outputs_first(key: str, value: np.ndarray, channels: int) -> np.ndarray:
    if value.ndim < 2 or key in AS_IT_IS:
        return value
    if value.ndim == 2:
        pixels = value.reshape(-1, channels, value.shape[-1])
        return pixels.swapaxes(0, 1).reshape(value.shape).T
    return np.moveaxis(value, (-1, -2), (0, 1))


def _outputs_last(key: str, value: np.ndarray, channels: int) -> np.ndarray:
    if value.ndim < 2 or key in AS_IT_IS:
        return value
    if value.ndim == 2:
        pixels = value.T.reshape(channels, -1, len(value))
        return pixels.swapaxes(0, 1).reshape(-1, len(value))
    return np.moveaxis(value, (0, 1), (-1, -2))


def _numbers(value: Any) -> np.ndarray:
    """Returns an array or a tensor, which may lie on another device or be part of a graph, as an array."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _fitting(there: str, value: np.ndarray, like: Any, here: str) -> np.ndarray:
    if value.shape != tuple(like.shape):
        raise ValueError(
            f"Expected {there} to fit {here}, {list(like.shape)}, found {list(value.shape)} with outputs last: "
            "give names, or the model that these weights are of."
        )
    return np.asarray(value, like.dtype, order="C")
