"""Tables of the report, each a small function of the data."""
