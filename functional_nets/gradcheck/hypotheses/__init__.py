"""Mistakes that might have been made, from the most local to the most global.

Each module offers `propose(evidence)`, which yields hypotheses; none of them decides which is right.
"""
