"""Written at the same time as the second set, by somebody else."""
