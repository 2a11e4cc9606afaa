"""isoflop: how large a model on how many tokens, answered by experiment."""
