"""Quick replies as JSON: what callers send and receive."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example
from shoal.messages.quick_replies import QuickReply
from shoal.rules.rule import MAX_REPLY_CHARACTERS

_REPLY: dict[str, Any] = {
    "id": 3, "shortcut": "发货", "text": "{buyer}您好，今天下午发货", "account": None, "position": 1, "owner": "mei",
    "may_change": True,
}  # fmt: skip


class QuickReplyBody(BaseModel):
    """A quick reply. ``account`` null: for all shops of the caller. Without a ``position`` it is the last, or stays.

    A page that inserts the text may fill in `{buyer}`, `{item}`, `{price}` and `{shop}`.
    """

    model_config = body_example(shortcut="发货", text="{buyer}您好，今天下午发货", account=None)
    shortcut: Annotated[Text, Field(max_length=32)] = ""
    text: Annotated[Text, Field(min_length=1, max_length=MAX_REPLY_CHARACTERS, pattern=r"\S")]
    account: Annotated[Text, Field(max_length=128)] | None = None
    position: int | None = Field(None, ge=0, le=1_000_000)


class QuickReplyShape(BaseModel):
    """A quick reply, with the name of its owner. ``may_change``: the caller may change and delete it."""

    model_config = example(**_REPLY)
    id: int
    shortcut: str
    text: str
    account: str | None
    position: int
    owner: str
    may_change: bool


class QuickReplyList(BaseModel):
    """Quick replies, in the order of their positions."""

    model_config = example(items=[_REPLY], next=None)
    items: list[QuickReplyShape]
    next: str | None = None


class QuickReplyDeleted(BaseModel):
    """The quick reply is deleted."""

    model_config = example(msg="deleted", id=3)
    msg: str = "deleted"
    id: int


def quick_reply_shape(reply: QuickReply, *, may_change: bool) -> QuickReplyShape:
    """Return a quick reply as JSON."""
    return filled(QuickReplyShape, reply, account=reply.account_id, may_change=may_change)
