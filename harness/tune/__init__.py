"""Tuning: a small grid of peak learning rate and batch at a few sizes, and the rule fitted through its minima."""
