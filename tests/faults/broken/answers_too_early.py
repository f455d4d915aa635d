"""``shoal serve`` whose writer settles before the commit is durable."""

from __future__ import annotations

import sys
import time
from typing import Any
from unittest.mock import patch

from shoal.cli.app import main
from shoal.storage.group_writer import GroupWriter

_write_together = GroupWriter._write_together
_deliver = GroupWriter._deliver
_told: set[int] = set()


def _written(self: GroupWriter, connection: Any, group: list[Any]) -> list[Any]:
    """Tell what will be true, and let the commit come a moment later."""
    outcomes: list[Any] = _write_together(self, connection, group)
    _deliver(self, list(zip(group, outcomes, strict=True)))
    _told.update(map(id, group))
    time.sleep(0.05)
    return outcomes


def _delivered(self: GroupWriter, deliveries: list[Any]) -> None:
    """Answer once."""
    _deliver(self, [delivery for delivery in deliveries if id(delivery[0]) not in _told])
    _told.clear()


if __name__ == "__main__":
    sys.argv[1:] = ["serve"]
    with patch.multiple(GroupWriter, _write_together=_written, _deliver=_delivered):
        main()
