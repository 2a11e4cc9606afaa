"""Tuning of several hyperparameters in rounds: each round's runs are those that the surface fitted so far asks for."""
