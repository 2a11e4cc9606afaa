"""Large corpora from ordinary packages: fetched, cleaned, one document a line of JSON."""
