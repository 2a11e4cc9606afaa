"""Which runs to train next: those that narrow the interval of what is asked for most, for what they cost."""
