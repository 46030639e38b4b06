"""A line that runs several times, and values that are used several times."""
