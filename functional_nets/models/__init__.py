"""Networks, each a `Model(init, apply)` of pure functions."""

from functional_nets.models.adapters import from_flax
from functional_nets.models.lenet import lenet
from functional_nets.models.mlp import mlp
from functional_nets.models.model import Model
from functional_nets.models.torch_layout import from_state_dict, to_state_dict
from functional_nets.models.xor_net import xor_net

__all__ = ["Model", "from_flax", "from_state_dict", "lenet", "mlp", "to_state_dict", "xor_net"]
