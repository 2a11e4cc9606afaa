"""Decisions on top of a fit: N*(C), D*(C) and what else has to be weighed."""
