"""Evidence from a GPU by one command: what it costs, the stages, what they said, and which aims are reached."""
