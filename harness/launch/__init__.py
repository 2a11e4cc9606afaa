"""Where and how runs execute: launchers, the local pool of workers, claims and retries, how a sweep is doing."""
