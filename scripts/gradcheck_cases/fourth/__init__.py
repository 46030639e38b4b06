"""Written when the catalogue had learned from the first three sets."""
