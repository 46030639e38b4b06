"""MNIST and Fashion-MNIST, verified by content, whatever they come from.

Importing this package loads NumPy and nothing larger: neither JAX, nor TensorFlow, nor TensorFlow Datasets.
"""

from functional_nets.data.contents import DataError, Dataset, Split
from functional_nets.data.sources import NAMES, SOURCES, load

__all__ = ["load", "Dataset", "Split", "DataError", "NAMES", "SOURCES"]
