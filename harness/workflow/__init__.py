"""What several commands share: an experiment's corpus and plan, training what is missing, what follows it."""
