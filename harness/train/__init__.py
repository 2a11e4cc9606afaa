"""One run: model, schedule, loop, evaluation, checkpoint, and the record it leaves."""
