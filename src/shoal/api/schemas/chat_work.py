"""The work on chats as JSON: what callers send and receive."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.messages.chat_notes import LONGEST_NOTE, Note
from shoal.messages.chat_status import WorkStatus
from shoal.messages.chat_work import Work, WorkEntry

StatusWord = Literal["open", "snoozed", "done"]
"""What a person decided about a chat."""
_WORK: dict[str, Any] = {
    "account": "my-shop", "chat_id": "59000001", "received": 12, "status": "snoozed",
    "snoozed_until": "2026-01-02T09:00:00.000Z", "assignee": "lin",
}  # fmt: skip
_ENTRY: dict[str, Any] = {
    "at": "2026-01-02T03:04:05.000Z", "actor": "user:mei", "what": "status", "before": "open", "after": "snoozed",
    "until": "2026-01-02T09:00:00.000Z",
}  # fmt: skip
_NOTE: dict[str, Any] = {
    "id": 4, "account": "my-shop", "chat_id": "59000001", "author": "lin", "text": "老客户，改过一次地址",
    "at": "2026-01-02T03:04:05.000Z", "mine": True,
}  # fmt: skip


class WorkBody(BaseModel):
    """What to change of the work on a chat; what is left out stays. ``assignee`` null: no one's.

    ``until`` (RFC 3339, within a year) goes with ``snoozed`` alone. ``received`` goes with ``done`` and ``snoozed``:
    that of the chat as the person saw it.
    """

    model_config = body_example(status="done", received=12)
    status: StatusWord | None = None
    until: Text | None = Field(None, max_length=40)
    assignee: Text | None = Field(None, max_length=64)
    received: int | None = Field(None, ge=0, le=2**53)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.status == "snoozed") != (self.until is not None):
            raise ValueError("a snoozed chat has a time until when, and no other has")
        return self


class SeenBody(BaseModel):
    """How many of the buyer's messages were seen: ``received`` of the chat as it was shown."""

    model_config = body_example(received=12)
    received: int = Field(ge=0, le=2**53)


class NoteBody(BaseModel):
    """The text of a note."""

    model_config = body_example(text="老客户，改过一次地址")
    text: Annotated[Text, Field(min_length=1, max_length=LONGEST_NOTE, pattern=r"\S")]


class WorkShape(BaseModel):
    """The work on a chat as it is now. ``received``: how many messages the buyer has written.

    ``snoozed_until`` is null unless the chat is snoozed. ``assignee`` is a user name, or null.
    """

    model_config = example(**_WORK)
    account: str
    chat_id: str
    received: int
    status: StatusWord
    snoozed_until: str | None
    assignee: str | None


class WorkEntryShape(BaseModel):
    """One change of the work on a chat. ``until``: until when it was put off."""

    at: str
    actor: str
    what: Literal["status", "assignee", "note", "note_deleted"]
    before: str
    after: str
    until: str | None


class WorkAndEntries(WorkShape):
    """The work on a chat, and its newest fifty changes, the newest first."""

    model_config = example(**_WORK, events=[_ENTRY])
    events: list[WorkEntryShape]


class SeenShape(BaseModel):
    """How many messages the buyer has written, and how many of them the caller has not seen (at most 99)."""

    model_config = example(account="my-shop", chat_id="59000001", received=12, unread=0)
    account: str
    chat_id: str
    received: int
    unread: int


class NoteShape(BaseModel):
    """A note about a chat. ``mine``: the caller wrote it."""

    model_config = example(**_NOTE)
    id: int
    account: str
    chat_id: str
    author: str
    text: str
    at: str
    mine: bool


class NoteList(BaseModel):
    """The notes about a chat, the oldest first."""

    model_config = example(items=[_NOTE], next=None)
    items: list[NoteShape]
    next: str | None = None


class NoteDeleted(BaseModel):
    """The note is deleted."""

    model_config = example(msg="deleted", id=4)
    msg: str = "deleted"
    id: int


def work_facts(work: Work) -> dict[str, Any]:
    """Return the fields of ``WorkShape``."""
    return {
        "account": work.account_id,
        "chat_id": work.chat_id,
        "received": work.received,
        "status": work.status.value,
        "snoozed_until": maybe_rfc3339(work.until_ms),
        "assignee": work.assignee or None,
    }


def entry_shape(entry: WorkEntry) -> WorkEntryShape:
    """Return one change as JSON."""
    return WorkEntryShape.model_validate(
        {
            "at": rfc3339(entry.at_ms),
            "actor": entry.actor,
            "what": entry.what,
            "before": entry.before,
            "after": entry.after,
            "until": maybe_rfc3339(entry.until_ms),
        }
    )


def note_shape(note: Note, user_id: int) -> NoteShape:
    """Return a note as JSON for that user."""
    return NoteShape(
        id=note.id,
        account=note.account_id,
        chat_id=note.chat_id,
        author=note.author,
        text=note.text,
        at=rfc3339(note.created_at_ms),
        mine=note.author_id == user_id,
    )


def status_of(word: StatusWord | None) -> WorkStatus | None:
    """Return the status of that word."""
    return None if word is None else WorkStatus(word)
