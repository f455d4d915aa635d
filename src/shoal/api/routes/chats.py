"""The chats with buyers: the list, and takeovers by the owner."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel

from shoal.api.http.account_filter import NO_NUL, OfAccount, asked_for
from shoal.api.http.caller import ReadAccount, ReplyAccount, TheCaller, TheServer, WhoReadsNamed
from shoal.api.http.changes import require_current
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.history import Cursor, Limit
from shoal.api.routes.messages import OfChat
from shoal.api.schemas.chat_requests import TakeOverBody
from shoal.api.schemas.chat_work import StatusWord, status_of
from shoal.api.schemas.cursors import cursor_of, mixed_place_of
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.clock import now_ms
from shoal.messages.chat_status import NO_ASSIGNEE, ChatFilter, Reader
from shoal.messages.chats import Chat
from shoal.messages.takeovers import Takeover, TakeoverReason

routes = Routes(tags=["messages"])

ChatId = Annotated[
    str, Path(pattern=r"^[0-9A-Za-z._-]{1,128}$", description="The chat's id on the site.", examples=["59000001"])
]

_UNKNOWN = -1
"""No user has this id."""
_PAUSE = {
    "account": "my-shop", "chat_id": "59000001", "reason": "human", "actor": "",
    "since": "2026-01-02T03:04:05.000Z", "until": "2026-01-02T03:14:05.000Z",
}  # fmt: skip


class PauseShape(BaseModel):
    """A takeover: the chat gets no automatic replies until ``until``.

    It starts when the owner writes in the chat (``human``) or takes it over through this API.
    """

    model_config = example(**_PAUSE)
    account: str
    chat_id: str
    reason: TakeoverReason
    actor: str
    since: str
    until: str


class PauseList(BaseModel):
    """The active takeovers, in the order of their end."""

    model_config = example(items=[_PAUSE], next=None)
    items: list[PauseShape]
    next: str | None = None


class PauseEnded(BaseModel):
    """The chat gets automatic replies again. ``ended``: it was taken over before."""

    model_config = example(msg="handed back", ended=True)
    msg: str = "handed back"
    ended: bool


class ChatShape(BaseModel):
    """One chat. ``last_direction`` is the direction of the last message. ``paused_until`` is null without a takeover.
    ``waits``: the buyer asked last (emojis ask nothing), no automatic answer is coming or was left out on purpose, and
    the chat is open.

    ``found_text`` is the newest message that contains the searched words, or null. ``received``: how many messages the
    buyer has written; ``unread``: how many of them the caller has not seen, at most 99. ``status`` and ``assignee``:
    see `PUT /cookies/{cid}/chats/{chat}/work`. ``item_title`` and ``item_picture`` (an address of this server): empty
    while they are not known.
    """

    account: str
    chat_id: str
    buyer_id: str
    buyer_name: str
    item_id: str | None
    item_title: str
    item_picture: str
    last_at: str
    last_text: str
    last_direction: str
    read_at: str | None
    paused_until: str | None
    pause_reason: TakeoverReason | None
    pause_actor: str
    found_text: str | None
    waits: bool
    received: int
    unread: int
    status: StatusWord
    snoozed_until: str | None
    assignee: str | None


class ChatList(BaseModel):
    """Chats, the most recently active first."""

    model_config = example(
        items=[
            {
                "account": "my-shop", "chat_id": "59000001", "buyer_id": "2200000000099", "buyer_name": "buyer",
                "item_id": "700000000001", "item_title": "视频会员", "item_picture": "",
                "last_at": "2026-01-02T03:04:05.000Z", "last_text": "在吗",
                "last_direction": "in", "read_at": None, "paused_until": None, "pause_reason": None, "pause_actor": "",
                "found_text": None, "waits": True,
                "received": 3, "unread": 1, "status": "open", "snoozed_until": None, "assignee": None,
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[ChatShape]
    next: str | None


def reader_of(who: Principal) -> Reader:
    """Return for whom unread messages are counted: also a token reads for its user."""
    return Reader(user_id=who.id, since_ms=who.user.created_at_ms)


@routes.get("/chats", summary="List chats", responses=READING_ONE)
async def list_chats(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    chat: OfChat = None,
    paused: Annotated[bool | None, Query(description="Only chats that are (or are not) taken over.")] = None,
    waiting: Annotated[
        bool | None, Query(description="Only chats in which a question of the buyer waits (or does not) for a person.")
    ] = None,
    status: Annotated[StatusWord | None, Query(description="Only chats with this status.")] = None,
    assignee: Annotated[
        str | None,
        Query(max_length=64, pattern=NO_NUL, description="Only chats of this user: a name, `me`, or `none`."),
    ] = None,
    unread: Annotated[
        bool | None,
        Query(description="Only chats with (or without) messages of the buyer that the caller has not seen."),
    ] = None,
    q: Annotated[
        str,
        Query(
            max_length=200,
            pattern=NO_NUL,
            description="Only chats with this text in a message or sender's name, or with this chat, buyer or item id.",
        ),
    ] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ChatList:
    """List the chats of the caller's accounts, the most recently active first, each with its last message."""
    before = mixed_place_of(cursor, (int, str, str)) if cursor else None
    found = await while_here(
        request,
        server.chats.list_chats(
            await asked_for(server, who, account_id),
            now_ms=now_ms(),
            only=ChatFilter(
                chat_id=chat,
                paused=paused,
                waiting=waiting,
                status=status_of(status),
                assignee_id=await _assignee_id(server, who, assignee),
                unread=unread,
            ),
            reader=reader_of(who),
            query=q,
            before=before,
            limit=limit + 1,
        ),
        lasting=bool(q),
    )
    page = found[:limit]
    following = cursor_of(*page[-1].cursor) if len(found) > limit else None
    return ChatList(items=[_chat(entry) for entry in page], next=following)


@routes.get("/cookies/{cid}/pauses", summary="List the takeovers of an account", responses=READING_ONE)
async def list_pauses(account: ReadAccount, server: TheServer) -> PauseList:
    """List the account's chats that get no automatic replies now, each with the end of its takeover."""
    return PauseList(items=[_pause(pause) for pause in await server.takeovers.active([account.id])])


@routes.put("/cookies/{cid}/chats/{chat}/pause", summary="Take over a chat", responses=CHANGING)
async def take_over_chat(
    chat: ChatId, body: TakeOverBody, account: ReplyAccount, server: TheServer, caller: TheCaller
) -> PauseShape:
    """Stop automatic replies in this chat for that many minutes from now. The takeover survives a restart."""
    await require_current(server, account, caller)
    pause = await server.takeovers.take_over(account.id, chat, minutes=body.minutes, actor=caller.actor)
    return _pause(pause)


@routes.delete("/cookies/{cid}/chats/{chat}/pause", summary="End a takeover", responses=CHANGING)
async def hand_back_chat(chat: ChatId, account: ReplyAccount, server: TheServer, caller: TheCaller) -> PauseEnded:
    """End the takeover: automatic replies start again with the next message."""
    await require_current(server, account, caller)
    return PauseEnded(ended=await server.takeovers.hand_back(account.id, chat, actor=caller.actor))


async def _assignee_id(server: Server, who: Principal, assignee: str | None) -> int | None:
    """Return the id of the user that a filter names; ``_UNKNOWN`` for an unknown name."""
    if assignee in {None, "none"}:
        return None if assignee is None else NO_ASSIGNEE
    if assignee == "me":
        return who.id
    user = await server.users.by_name(assignee or "")
    return _UNKNOWN if user is None else user.id


def _pause(pause: Takeover) -> PauseShape:
    return filled(PauseShape, pause, account=pause.account_id)


def _chat(chat: Chat) -> ChatShape:
    return filled(ChatShape, chat, account=chat.account_id, status=chat.status.value, assignee=chat.assignee or None)
