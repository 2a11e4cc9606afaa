"""Where and how runs execute: launchers, the local pool of workers, retries, how a sweep is doing."""
