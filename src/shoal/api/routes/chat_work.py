"""The work on chats: who cares for one, whether it is done or put off, what the caller has seen, notes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import Depends, Path

from shoal.accounts.account import Account
from shoal.api.http.caller import ReadAccount, ReplyAccount, TheCaller, ThePermission, TheServer, known
from shoal.api.http.changes import require_current
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.chats import ChatId
from shoal.api.schemas.chat_work import (
    NoteBody,
    NoteDeleted,
    NoteList,
    NoteShape,
    SeenBody,
    SeenShape,
    WorkAndEntries,
    WorkBody,
    WorkShape,
    entry_shape,
    note_shape,
    status_of,
    work_facts,
)
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.messages.chat_status import NO_ASSIGNEE
from shoal.messages.chat_work import WorkChange

routes = Routes(tags=["messages"])

LONGEST_SNOOZE_MS: Final = 366 * 86_400_000
TheReader = Annotated[Principal, Depends(known)]
"""Who asks; another dependency of the route checks what this caller may."""
NoteId = Annotated[int, Path(ge=1, le=2**53, description="The `id` of a note.", examples=[4])]


@routes.get("/cookies/{cid}/chats/{chat}/work", summary="Get the work on a chat", responses=READING_ONE)
async def get_chat_work(chat: ChatId, account: ReadAccount, server: TheServer) -> WorkAndEntries:
    """Return who cares for the chat, whether it is open, snoozed or done, and who changed that."""
    work, entries = await server.chat_desk.work.of(account.id, chat)
    return WorkAndEntries(**work_facts(work), events=[entry_shape(entry) for entry in entries])


@routes.put("/cookies/{cid}/chats/{chat}/work", summary="Change the work on a chat", responses=CHANGING)
async def change_chat_work(
    chat: ChatId, body: WorkBody, account: ReplyAccount, server: TheServer, caller: TheCaller
) -> WorkShape:
    """Mark a chat as done, snooze it, open it, or assign it. The last change wins.

    A message of the buyer opens the chat again. A caller who has not seen all of them (`received`) can neither
    mark it as done nor snooze it (409 `buyer_wrote_since`).
    """
    await require_current(server, account, caller)
    change = WorkChange(
        status=status_of(body.status),
        until_ms=_until(body.until),
        assignee_id=await _assignee_id(server, account, body),
        received=body.received,
    )
    return WorkShape(**work_facts(await server.chat_desk.work.change(account.id, chat, change, caller.actor)))


@routes.put("/cookies/{cid}/chats/{chat}/seen", summary="Mark a chat as seen", responses=CHANGING)
async def mark_chat_seen(
    chat: ChatId, body: SeenBody, account: ReadAccount, server: TheServer, caller: TheCaller, who: TheReader
) -> SeenShape:
    """Note how many of the buyer's messages the caller has seen. It never goes back, and is the caller's alone."""
    await require_current(server, account, caller)
    received, unread = await server.chat_desk.work.see(
        account.id, chat, user_id=who.id, received=body.received, actor=caller.actor
    )
    return SeenShape(account=account.id, chat_id=chat, received=received, unread=unread)


@routes.get("/cookies/{cid}/chats/{chat}/notes", summary="List the notes about a chat", responses=READING_ONE)
async def list_chat_notes(chat: ChatId, account: ReadAccount, server: TheServer, who: TheReader) -> NoteList:
    """List what users noted about the chat, the oldest first. Notes are never sent."""
    return NoteList(items=[note_shape(note, who.id) for note in await server.chat_desk.notes.list(account.id, chat)])


@routes.post("/cookies/{cid}/chats/{chat}/notes", summary="Add a note about a chat", responses=CHANGING)
async def add_chat_note(
    chat: ChatId, body: NoteBody, account: ReplyAccount, server: TheServer, caller: TheCaller, who: TheReader
) -> NoteShape:
    """Add a note, which all who see the shop can read; at most 200 in a chat. It is deleted with the chat or buyer."""
    await require_current(server, account, caller)
    note = await server.chat_desk.notes.add(
        account.id, chat, body.text, author_id=who.id, author=who.user.username, op_id=caller.op_id
    )
    return note_shape(note, who.id)


@routes.delete("/cookies/{cid}/chats/{chat}/notes/{note_id}", summary="Delete a note about a chat", responses=CHANGING)
async def delete_chat_note(
    *,
    chat: ChatId,
    note_id: NoteId,
    account: ReplyAccount,
    given: ThePermission,
    server: TheServer,
    caller: TheCaller,
    who: TheReader,
) -> NoteDeleted:
    """Delete a note of one's own; who owns the shop deletes any."""
    await require_current(server, account, caller)
    owns = given >= Permission.OWN
    await server.chat_desk.notes.delete(account.id, chat, note_id, user_id=who.id, actor=caller.actor, owns=owns)
    return NoteDeleted(id=note_id)


def _until(text: str | None) -> int | None:
    """Return the end of a snooze. Raise ``InvalidInput`` unless it lies ahead, within a year."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    now = now_ms()
    at_ms = 0 if moment is None or moment.tzinfo is None else round(moment.timestamp() * 1000)
    if not now < at_ms <= now + LONGEST_SNOOZE_MS:
        raise InvalidInput("a snooze ends within a year", code="bad_until")
    return at_ms


async def _assignee_id(server: Server, account: Account, body: WorkBody) -> int | None:
    """Return whom the body names. Raise ``InvalidInput`` for a user who may not answer in the shop."""
    if "assignee" not in body.model_fields_set:
        return None
    if body.assignee is None:
        return NO_ASSIGNEE
    user = await server.users.by_name(body.assignee)
    given = None
    if user is not None and user.active and not user.leaving:
        given = server.authorization.permission_on(Principal(user=user), account)
    if user is None or given is None or given < Permission.REPLY:
        raise InvalidInput("that user may not answer in this shop", code="bad_assignee", username=body.assignee)
    return user.id
