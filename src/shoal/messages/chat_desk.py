"""What people do with chats beside writing in them: the work on chats, notes, quick replies."""

from __future__ import annotations

from typing import Self

import msgspec

from shoal.accounts.events import Publish
from shoal.messages.chat_notes import ChatNotes
from shoal.messages.chat_work import ChatWork
from shoal.messages.quick_replies import QuickReplies
from shoal.storage.database import Database


class ChatDesk(msgspec.Struct, frozen=True, kw_only=True):
    """The components for it."""

    work: ChatWork
    notes: ChatNotes
    quick_replies: QuickReplies

    @classmethod
    def on(cls, database: Database, publish: Publish) -> Self:
        """Return the components on a database."""
        return cls(
            work=ChatWork(database, publish=publish),
            notes=ChatNotes(database, publish=publish),
            quick_replies=QuickReplies(database),
        )
