"""What a run leaves behind: the record, the sweep's folder, the table of runs."""
