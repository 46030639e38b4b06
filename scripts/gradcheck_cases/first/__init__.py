"""Written before the catalogue was, and while it grew."""
