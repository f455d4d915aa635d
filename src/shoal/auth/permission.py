"""How much a user may do with an account. Each permission contains those before it."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Permission(IntEnum):
    """In rising order, so that ``have >= need`` is the check."""

    READ = 1
    """See everything except secrets."""
    REPLY = 2
    """Also send messages, take chats over, and handle orders."""
    OPERATE = 3
    """Also switches, rules, replies, settings, resume."""
    OWN = 4
    """Also the cookie, the proxy, the removal, and sharing."""

    @property
    def word(self) -> str:
        """The name in answers and rows."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the permission of a name. Raises ``KeyError``."""
        return cls[word.upper()]
