"""What to train: hyperparameter rules, schedules, the grid, and the time that its runs take."""
