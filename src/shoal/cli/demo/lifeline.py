"""``python -m shoal.cli.demo.lifeline MODULE …`` runs a module that ends when whoever started it is gone.

Whoever starts it keeps the other end of its standard input; the system closes that when the starter ends, however
it ends. The module then gets SIGTERM, and ``LAST_SECONDS`` to go.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

LAST_SECONDS = 10.0


def main() -> None:
    """Watch standard input on a thread and run the module as the program."""
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
