"""The canonical networks, each in another coding style."""
