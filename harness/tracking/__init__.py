"""Experiment trackers: what a run logs while it trains, W&B as a mirror of a sweep and as a source of its runs."""
