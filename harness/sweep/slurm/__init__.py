"""A sweep as a Slurm job array: what is asked for, what is submitted, and what the queue says about it."""
