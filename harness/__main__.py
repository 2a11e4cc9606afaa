"""``python -m harness``: what torchrun starts, and ``isoflop``."""

import sys
from types import TracebackType

from harness import STOPPED


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(STOPPED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _uncaught  # for Ctrl-C before there are handlers, which are an import away

from harness import interrupts  # noqa: E402


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
