"""Figures, tables and the page people read."""
