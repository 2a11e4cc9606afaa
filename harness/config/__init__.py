"""Hydra configuration: schema, composition, and errors in one line."""
