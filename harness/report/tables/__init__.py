"""Tables of the report, each a function of the report data."""
