"""Functions that are taken whole, since their parts would disagree with them at a kink or a tie."""

import math

import numpy as np

from functional_nets.backprop.rules.table import rule

# fmt: off
rule("relu",       lambda g, y, x: (np.where(x > 0, g, 0),))  # relu'(0) = 0.
rule("relu6",      lambda g, y, x: (np.where((x > 0) & (x < 6), g, 0),))
rule("logaddexp2", lambda g, y, a, b: (g * np.exp((a - y) * math.log(2)), g * np.exp((b - y) * math.log(2))))
# fmt: on
