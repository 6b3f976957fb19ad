"""The server of a `ServerProcess`: `bimip serve` as `python -m bimip.testing.runner`, with its settings in the
environment.

It loads the program, then waits for a line on its standard input before it opens anything: the next one is made ready
while the last one still runs, so that a restart takes a moment. It stops when whoever started it is gone.
"""

import os
import signal
import sys
import threading

from bimip.cli.serve import serve
from bimip.config import ConfigError, load_settings

STANDARD_INPUT = 0


def main() -> None:
    try:
        settings = load_settings(None, os.environ)
    except ConfigError as error:
        sys.exit(str(error))
    if sys.stdin.readline():
        threading.Thread(target=stop_when_alone, daemon=True).start()
        serve(settings, with_demo=False, config=None)


def stop_when_alone() -> None:
    """Waits until the other end of the standard input is closed, as the system does for who is killed too."""
    while os.read(STANDARD_INPUT, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
