"""Which runs are missing, where they execute, and how they are doing."""
