"""How much somebody may do with a shop. Each right contains those before it."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Permission(IntEnum):
    """In rising order, so that ``have >= need`` answers."""

    READ = 1
    """See everything but secrets."""
    REPLY = 2
    """Also send, take chats over, serve and settle orders."""
    OPERATE = 3
    """Also switches, rules, replies, settings, resume."""
    OWN = 4
    """Also the cookie, the proxy, the removal, and with whom it is shared."""

    @property
    def word(self) -> str:
        """As it is written in answers and rows."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """The right of a word. Raises ``KeyError``."""
        return cls[word.upper()]
