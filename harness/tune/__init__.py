"""Tuning: a small grid of peak learning rate and batch at a few sizes, and the rules fitted through its minima."""
