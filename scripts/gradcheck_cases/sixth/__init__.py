"""Written when the catalogue had learned from the first five sets; it has learned nothing from this one."""
