"""How a figure or a table says that it has no ground to stand on."""


class MissingError(Exception):
    """Raised by a figure or a table whose ingredients are not there; its text is the reason."""
