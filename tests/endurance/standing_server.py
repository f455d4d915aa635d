"""``shoal serve`` whose writer or readers stand still for as long as a file says: started in place of the real command.

``STANDING_FILE`` in its environment names the file; in it stand a place and a moment in seconds since 1970.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.pop(0)  # this directory, whose modules must not be imported here

from shoal.cli.app import main
from shoal.storage.database import Database

FILE: Final = Path(os.environ["STANDING_FILE"])


def stand(place: str) -> None:
    """Wait as long as the file says that this place stands still."""
    while True:
        try:
            which, until = FILE.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):  # nothing does, or it is just being written
            return
        if which != place or time.time() >= float(until):
            return
        time.sleep(0.02)


_init, _read = Database.__init__, Database._read


def made(self: Database, *values: Any, **named: Any) -> None:
    """As it was, and the writer asks at ``begin`` and at ``commit``."""
    _init(self, *values, **named, fault_point=stand)


def read(self: Database, job: Any) -> Any:
    """As it was, on one of the readers' threads."""
    stand("read")
    return _read(self, job)


Database.__init__ = made  # type: ignore[method-assign]
Database._read = read  # type: ignore[method-assign]
main()
