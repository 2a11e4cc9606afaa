"""The one exception a user is meant to see."""


class UserError(Exception):
    """Something the user can mend: printed as one line (what, where, how to mend), exit status 2."""
