"""Large corpora without a hub: fetched as ordinary packages, cleaned, one document a line of JSON."""
