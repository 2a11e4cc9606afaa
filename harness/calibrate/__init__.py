"""How fast this device trains the models of an experiment, alone and side by side."""
