"""The values of functions that are taken whole."""

import numpy as np

from functional_nets.backprop.values.table import value

# fmt: off
value("relu",       lambda x: np.maximum(x, 0))
value("relu6",      lambda x: np.minimum(np.maximum(x, 0), 6))
value("logaddexp2", np.logaddexp2)
# fmt: on
