"""NumPy code in the style of the book, under examination: objects with a forward pass and a backward by hand."""
