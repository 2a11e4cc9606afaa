"""The Slurm launcher: one job array for a sweep, and a dependent job that goes on with the command."""
