"""``python -m shoal.cli.demo.lifeline MODULE …`` runs a module that ends when the process that started it is gone.

The starter keeps the other end of the module's standard input; the system closes it when the starter ends in any way.
The module then gets SIGTERM, and ``LAST_SECONDS`` to end.
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
