"""``python -m harness.notify.by_apprise``: its input to the addresses in ISOFLOP_NOTIFY_URLS; 1 where one fails."""

import os
import sys

from harness.notify.config import URLS


def main() -> int:
    """Send; returns the exit status."""
    import apprise  # the extra 'notify'

    told = [apprise.Apprise() for _ in os.environ[URLS].split()]
    text, title = sys.stdin.read(), f"isoflop: {os.environ['ISOFLOP_NAME']} {os.environ['ISOFLOP_STATUS']}"
    done = [
        one.add(address) and one.notify(body=text, title=title)
        for one, address in zip(told, os.environ[URLS].split(), strict=True)
    ]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
