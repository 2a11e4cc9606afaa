"""The one exception a user is meant to see."""


class UserError(Exception):
    """Something the user can correct: printed as one line (what, where, how to correct it), exit status 2."""
