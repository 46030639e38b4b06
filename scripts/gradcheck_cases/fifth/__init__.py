"""Written when the catalogue had learned from the first four sets."""
