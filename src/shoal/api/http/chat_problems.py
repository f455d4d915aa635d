"""The errors of the work on chats: code, HTTP status, and the params that answers may show."""

from __future__ import annotations

from typing import Final

from shoal.api.http.problem import Problem

CHAT_PROBLEMS: Final = (
    Problem("unknown_chat", 404),
    Problem("buyer_wrote_since", 409, ("received",)),
    Problem("bad_until", 422),
    Problem("bad_assignee", 422, ("username",)),
    Problem("unknown_note", 404),
    Problem("not_your_note", 403),
    Problem("too_many_notes", 409, ("limit",)),
    Problem("unknown_quick_reply", 404),
    Problem("too_many_quick_replies", 409, ("limit",)),
)
