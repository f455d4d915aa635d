"""What may stand still in a server; mostly for longer than a connection says farewell."""

from __future__ import annotations

from typing import Final

STANDING: Final = ("the writer stands still", "the readers stand still", "the collector stands still")
"""The last stops all of it."""
STANDING_SECONDS: Final = (0.5, 25.0)
