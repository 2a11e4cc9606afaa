"""The one exception a user is meant to see, and the exit statuses of the program."""

EXIT_FAILED, EXIT_USER_ERROR, EXIT_REQUEUE, EXIT_INTERRUPTED = 1, 2, 75, 130
"""Something failed; the user can correct it; stopped, and to be run again; Ctrl-C."""


class UserError(Exception):
    """Something the user can correct: printed as one line (what, where, how to correct it), exit status 2."""
