"""The networks of university courses and books, in their notation."""
