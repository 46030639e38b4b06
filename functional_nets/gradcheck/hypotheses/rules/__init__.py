"""One operation's backward is wrong: a factor, a slope, an operand, a sum, a normalisation."""
