"""Courses, tutorials and libraries, written when the catalogue had learned from the first five sets."""
