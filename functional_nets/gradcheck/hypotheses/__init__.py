"""Plausible mistakes: each module yields hypotheses, and knows nothing of the search that tests them.

- `rules`: one operation's backward is wrong, in one place.
- `loops`: the same, each time a line runs; and what becomes of the contributions to a value used several times.
- `passes`: another forward pass, another constant, other parameters or another batch.
- `leaves`, `whole`, `contributions`, `examples`, `unknown`: what the numbers alone say: an array rearranged, arrays
  exchanged, terms and examples that count too much or not at all, a gradient that can only have gone wrong at one
  operation.
"""
