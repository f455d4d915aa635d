"""The child of the sweep, whose writer takes a failed COMMIT for one that was not applied."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from faults.fiu_child import main
from shoal.accounts.store import Refused
from shoal.errors import NotApplied
from shoal.storage.group_writer import GroupWriter


def believe(self: GroupWriter, group: list[Any], _: Any) -> None:
    """Do not ask."""
    self._deliver([(work, Refused(NotApplied("the commit failed"))) for work in group])


if __name__ == "__main__":
    with patch.object(GroupWriter, "_find_out", believe):
        main()
