"""Anyone's table of runs: formats, notations of numbers, names of columns, which rows are results, and filters."""
