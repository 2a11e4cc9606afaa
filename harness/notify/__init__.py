"""A message where the user wants one: a program of theirs, or a service by Apprise."""
