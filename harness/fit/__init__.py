"""The compute-optimal frontier from a table of finished runs."""
