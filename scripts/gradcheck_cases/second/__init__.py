"""Written when the catalogue explained three unseen faults in four."""
