"""The independent witness: backpropagation from scratch, in NumPy and the standard library only."""
