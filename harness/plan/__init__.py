"""What to train: FLOP and parameter counts, shapes, hyperparameter rules, the grid and its cost."""
