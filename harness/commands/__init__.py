"""One module a command: thin, from configuration to the rooms that do the work."""
