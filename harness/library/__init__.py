"""What ``harness`` offers to programs and notebooks: sweeps, plans, predictions, figures and tables as functions."""
