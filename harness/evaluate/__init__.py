"""Benchmark tasks: finished runs' models scored by EleutherAI's lm-eval, and tasks made from held-out documents."""
