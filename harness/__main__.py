"""``python -m harness``: what torchrun starts."""

from harness.cli import main

main()
