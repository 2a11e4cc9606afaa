"""``python -m harness``: what torchrun starts, and ``isoflop``."""

import sys

from harness import interrupts


def main() -> None:
    """Run the command of this process; a signal that stops it is one line from here on."""
    interrupts.install()
    try:
        from harness.cli import main as command  # takes a while

        command()
    except KeyboardInterrupt:
        interrupts.end(next(iter(sys.argv[1:]), ""))


if __name__ == "__main__":
    main()
