"""Another pass: other operations or constants in it, other parameters, another batch, another loss."""
