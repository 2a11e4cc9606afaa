"""Tuning: a small grid of peak rate and batch at a few sizes, and the rule fitted through its minima."""
