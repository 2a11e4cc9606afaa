"""The verdicts on a predicted winner against another size."""

WON, LOST, NOISE, UNKNOWN = "won", "lost", "within seed noise", "cannot be told"
