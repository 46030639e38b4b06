"""Training on several devices and hosts: a mesh, where arrays lie on it, which layers are split, who else is there."""

from functional_nets.training.parallel.layers import LAYER_RULES, Rules, state_shardings
from functional_nets.training.parallel.mesh import DevicesError, describe, make_mesh
from functional_nets.training.parallel.placement import at_hand, place, replicated, share_batch
from functional_nets.training.parallel.processes import ProcessesError, first

__all__ = [
    "make_mesh", "describe", "DevicesError",
    "LAYER_RULES", "Rules", "state_shardings",
    "place", "replicated", "share_batch", "at_hand",
    "ProcessesError", "first",
]  # fmt: skip
