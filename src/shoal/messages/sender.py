"""Sends over one connection: one stored row per message, settled by the site's answer or the echo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from weakref import WeakValueDictionary

import structlog

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.errors import ActionRequired, SendUnknown, StoreError, TemporaryFailure
from shoal.messages.decisions import Decision
from shoal.messages.handoff import HANDOFF
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.messages.outbox import Guard, PartGuard
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome
from shoal.messages.outgoing import DecidedBefore, OutgoingMessage, Reply, Sent, switched_off
from shoal.messages.own_messages import OwnMessages, Unrecognised
from shoal.messages.sealed_texts import UNITS_LOST
from shoal.messages.send_guards import not_taken_over_since
from shoal.pictures.site_pictures import SitePictures
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket, SendReceipt
from shoal.xianyu.socket_errors import GateClosed, SendRefused

__all__ = ["DecidedBefore", "OutgoingMessage", "Reply", "Sender", "Sent"]

log = structlog.get_logger("shoal.outbox")

ECHO_GRACE_SECONDS = 0.5
"""How long to wait for the echo of an unanswered message before it is sent again with the same uuid."""

MOST_RESENDS = 3
"""How often a message is sent again at most, over all connections; over one connection at most once."""
_WITH_ANOTHER = frozenset({SendOutcome.SENDING, SendOutcome.WAITING})
"""The outcomes of a part that this connection did not start."""

_LOST = "connection_lost"

Begin = Callable[[Sequence[OutboxRow]], Awaitable[Sequence[Sending]]]
"""Stores the messages of an order with all that they mean, in one transaction; returns none when they are not due."""


class Sender:
    """Sends over one connection. The messages of one chat are sent one after another."""

    def __init__(
        self,
        account: Account,
        socket: LiveSocket,
        message_log: MessageLog,
        pictures: SitePictures,
        current: Callable[[], Account | None],
        *,
        seconds: float,
    ) -> None:
        """``current`` returns the account now; it is also called on the database's thread.

        ``seconds``: how long to wait for the site's answer to a message.
        """
        self._account_id = account.id
        self._my_id = account.unb
        self._socket = socket
        self._log = message_log
        self._pictures = pictures
        self._outbox = message_log.outbox
        self._timeout = seconds
        self._current = current
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._echo_listeners: list[Callable[[Sending], Awaitable[None]]] = []
        self.own_messages = OwnMessages()
        self._own_uuids: set[str] | None = set()
        """This connection's messages, until ``take_up`` has read those that the last one left."""

    def on_echo(self, listener: Callable[[Sending], Awaitable[None]]) -> None:
        """Call ``listener`` with every row whose echo comes back, after that is stored."""
        self._echo_listeners.append(listener)

    def _turn(self, chat_id: str) -> asyncio.Lock:
        return self._turns.setdefault(chat_id, asyncio.Lock())

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, outgoing: OutgoingMessage, guard: Guard | None = None) -> Sent:
        """Send a message and return its outcome. An unanswered message sent by hand is sent again, like an answer.

        ``guard`` is called in the transaction that stores the message. Raise what it raises, the error that ended the
        socket when the message certainly was not sent, and ``StoreError`` when it could not be stored.
        """
        async with self._turn(outgoing.chat_id):
            queued = await self._outbox.queue(self._owned(self._rows([outgoing])), guard=guard)
            if queued.before is not None:
                return Sent.of(queued.before)
            if queued.decision is not None:
                return Sent(SendOutcome.DROPPED, queued.decision.value)
            (sending,) = queued.sendings
            try:
                sent = await self._deliver(sending)
            except (GateClosed, TemporaryFailure, ActionRequired) as failure:
                off = switched_off(failure)
                is_mine = await self._outbox.take_back(self._account_id, queued.ids, off or _LOST)
                if is_mine and off is None:
                    raise
                return Sent.of(await self._outbox.get(sending.id))  # the next connection may continue with it
        is_insisted_on = sent.outcome is SendOutcome.UNCERTAIN and outgoing.kind is OutboxKind.MANUAL
        return await self._insist(sent) if is_insisted_on else sent

    async def serve(self, messages: Sequence[OutgoingMessage], begin: Begin, guard: PartGuard) -> bool:
        """Send the messages of an order one after another, each only once the one before has arrived.

        ``begin`` is called when it is their turn in the chat; ``guard`` is asked in the transaction that starts each
        later one. An unanswered one is not sent again, unless ``begin`` returns it as the first: then it keeps its
        uuid, and stays uncertain when it is refused. Return whether they were begun. Raise like ``send``: then those
        that are not settled certainly were not sent now.
        """
        async with self._turn(messages[0].chat_id):
            sendings = await begin(self._owned(self._rows(messages)))
            if not sendings:
                return False
            self._outbox.publish_queued(sendings)
            first, *later = sendings
            try:
                sent = await self._deliver(first, again=first.outcome is SendOutcome.UNCERTAIN)
            except (GateClosed, TemporaryFailure, ActionRequired) as failure:
                off = switched_off(failure)
                await self._outbox.take_back(self._account_id, [one.id for one in sendings], off or _LOST)
                if off is None:
                    raise
                return True
        for place, sending in enumerate(later):
            if sent.outcome is not SendOutcome.SENT:
                if sent.outcome not in _WITH_ANOTHER:
                    ids = [waiting.id for waiting in later[place:]]
                    await self._outbox.drop_waiting(ids, f"earlier_part_{sent.outcome}")
                break
            sent = await self._send_part(sending, guard)
        return True

    async def answer(self, reply: Reply, guard: Guard) -> Sent:
        """Send an answer part by part. Return the outcome of the last part that was started.

        ``dropped``: ``guard`` returned a decision, which is stored for the messages, or the owner wrote before the
        first part was given to the socket. Raise like ``send``; then the messages wait for an answer again. Raise
        ``DecidedBefore``.
        """
        rows = self._owned(self._rows(reply))
        await self.own_messages.until_recognised(reply.chat_id)
        async with self._turn(reply.chat_id):
            since = self.own_messages.place
            queued = await self._outbox.queue(
                rows, answers=reply.answers, guard=self._while_on(guard), decision=reply.decision, stored=reply.stored
            )
            if queued.decided:
                raise DecidedBefore(queued.decided)
            if queued.decision is not None:
                return Sent(SendOutcome.DROPPED, queued.decision.value)
            first, *later = queued.sendings
            sent = await self._send_first(reply, queued.ids, first, since)
        while sent is None:
            await self.own_messages.until_recognised(reply.chat_id)
            async with self._turn(reply.chat_id):
                if await self._outbox.begin(first):
                    sent = await self._send_first(reply, queued.ids, first, since)
                else:
                    sent = Sent.of(await self._outbox.get(first.id))
        if sent.outcome is SendOutcome.UNCERTAIN:
            sent = await self._insist(sent)
        return await self._go_on(sent, later) if later else sent

    async def _send_first(self, reply: Reply, ids: Sequence[int], first: Sending, since: int) -> Sent | None:
        """Send the first part of an answer. Return ``None`` if it waits because an own message is not recognised.

        ``since``: the place of own messages when the answer was stored. Raise like ``answer``.
        """
        try:
            return await self._deliver(first, since=since, asked_at_ms=reply.asked_at_ms)
        except Unrecognised:
            await self._outbox.put_back(first.id)
            return None
        except (GateClosed, TemporaryFailure, ActionRequired) as failure:
            off = switched_off(failure)
            await self._outbox.take_back(
                self._account_id,
                ids,
                off or _LOST,
                answers=reply.answers,
                decision=off or Decision.PENDING,
                once_in=reply.chat_id if reply.once else None,
            )
            if off is None:
                raise
            return Sent(SendOutcome.DROPPED, off, first.id)

    async def _go_on(self, before: Sent, later: Sequence[Sending]) -> Sent:
        """Send the waiting parts one after another, as long as the previous one has arrived.

        When the socket has ended and it is unknown whether that one has, the parts wait for the next connection. When
        another connection has the previous one, it has the parts too.
        """
        for place, sending in enumerate(later):
            if before.outcome is SendOutcome.UNCERTAIN and not self._socket.is_open:
                return before
            if before.outcome in _WITH_ANOTHER:
                return before
            if before.outcome is not SendOutcome.SENT:
                await self._outbox.drop_waiting(
                    [waiting.id for waiting in later[place:]], f"earlier_part_{before.outcome}"
                )
                return before
            before = await self._send_part(sending, self._not_taken_over(sending))
        return before

    async def _send_part(self, sending: Sending, guard: PartGuard) -> Sent:
        row, sent = sending.row, None
        while sent is None:
            if row.kind is OutboxKind.REPLY:
                await self.own_messages.until_recognised(row.chat_id)
            async with self._turn(row.chat_id):
                since = self.own_messages.place
                if not await self._outbox.begin(sending, guard):
                    return Sent.of(await self._outbox.get(sending.id))
                try:
                    sent = await self._deliver(sending, since=since)
                except Unrecognised:
                    await self._outbox.put_back(sending.id)
                except GateClosed as failure:
                    reason = switched_off(failure) or Decision.DISABLED
                    await self._outbox.settle(sending.id, SendOutcome.DROPPED, reason)
                    return Sent(SendOutcome.DROPPED, reason, sending.id)
                except (TemporaryFailure, ActionRequired):
                    await self._outbox.put_back(sending.id)
                    raise
        is_insisted_on = sent.outcome is SendOutcome.UNCERTAIN and row.kind is not OutboxKind.PAID
        return await self._insist(sent) if is_insisted_on else sent

    def _while_on(self, guard: Guard) -> Guard:
        """Return the guard for an automatic reply: nothing leaves after replies were switched off."""
        return lambda connection: guard(connection) if self._may_reply() else Decision.REPLIES_OFF

    def _may_reply(self) -> bool:
        account = self._current()
        return account is not None and account.replies

    def _not_taken_over(self, sending: Sending) -> Guard:
        row, since_ms = sending.row, sending.created_at_ms
        hands_off = row.rule_id == HANDOFF
        return self._while_on(
            not_taken_over_since(self._account_id, row.chat_id, since_ms, now_ms(), hands_off=hands_off)
        )

    def _rows(self, messages: Reply | Sequence[OutgoingMessage]) -> list[OutboxRow]:
        uuid = self._socket.names.uuid
        if isinstance(messages, Reply):
            return messages.rows(self._account_id, uuid)
        return [one.row(self._account_id, uuid()) for one in messages]

    def _owned(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        if self._own_uuids is not None:
            self._own_uuids.update(row.uuid for row in rows)
        return rows

    async def drop(
        self, reply: Reply, decision: Decision, *, is_decided: bool = False, words: Sequence[str] = ()
    ) -> None:
        """Record that an answer was not given, because of a decision during its delay."""
        answers = () if is_decided else reply.answers
        await self._outbox.drop_answer(self._rows(reply), decision, answers=answers, words=words)

    async def _deliver(self, sending: Sending, *, again: bool = False, since: int = 0, asked_at_ms: int = 0) -> Sent:
        """Send a message, wait for the site's answer and store the outcome.

        ``again``: the first time may have arrived, so a message that is refused now stays uncertain. ``since`` and
        ``asked_at_ms`` of a reply: as for ``OwnMessages.check``. Raise ``GateClosed``, or the error that ended the
        socket: then it was not sent now.
        """
        row_id, row, ids = sending.id, sending.row, self._socket.names
        try:
            text = await self._text_of(row)
            if row.image_url:
                async with self._pictures.shown(row.image_url, width=row.width, height=row.height) as picture:
                    frame = frames.send_image(
                        ids.mid(), row.uuid, row.chat_id, row.buyer_id, self._my_id,
                        url=picture.url, width=picture.width, height=picture.height,
                    )  # fmt: skip
                    receipt = await self._sent(frame, row, picture.url, (since, asked_at_ms))
            else:
                frame = frames.send_text(ids.mid(), row.uuid, row.chat_id, row.buyer_id, self._my_id, text)
                receipt = await self._sent(frame, row, text, (since, asked_at_ms))
            sent = Sent(SendOutcome.SENT, "sent_again" if again else "", row_id, receipt.message_id)
        except SendRefused as refusal:
            log.warning("message refused", account=self._account_id, chat=row.chat_id, reason=refusal.reason)
            sent = Sent(SendOutcome.UNCERTAIN if again else SendOutcome.REFUSED, refusal.reason, row_id)
        except SendUnknown:
            if again:
                return Sent.of(sending)
            log.warning("message uncertain", account=self._account_id, chat=row.chat_id, uuid=row.uuid)
            sent = Sent(SendOutcome.UNCERTAIN, "no_answer", row_id)
        await self._outbox.settle(row_id, sent.outcome, sent.reason, sent.message_id)
        return sent

    async def _sent(self, frame: frames.Frame, row: OutboxRow, content: str, begun: tuple[int, int]) -> SendReceipt:
        """Send a frame. No other code runs between this look at what holds a reply back and the write."""
        if row.kind is OutboxKind.REPLY:
            await self._socket.caught_up()
            if not self._may_reply():
                raise GateClosed("replies are off", code=Decision.REPLIES_OFF.value)
            self.own_messages.check(row.chat_id, *begun)
        with self.own_messages.expecting(row.chat_id, content):
            return await self._socket.send(frame, row.uuid, self._timeout)

    async def _text_of(self, row: OutboxRow) -> str:
        """Return the text to be sent. Raise ``TemporaryFailure`` when units in it cannot be opened now, and
        ``SendRefused`` when they never can: another connection would not help.
        """
        try:
            return await self._outbox.text_of(row)
        except StoreError as error:
            if error.code in UNITS_LOST:
                raise SendRefused("unit_lost") from None
            raise TemporaryFailure("units of goods cannot be opened", code=error.code) from None

    # ── unanswered messages ─────────────────────────────────────────────────────────────────────────────────────

    async def _insist(self, sent: Sent) -> Sent:
        """Wait for the echo of what is uncertain; if none comes, send it once more with the same uuid.

        When the socket has ended, that is for the next connection.
        """
        await asyncio.sleep(ECHO_GRACE_SECONDS)
        sending = await self._outbox.get(sent.id)
        return await self._send_again(sending, None) if self._socket.is_open else Sent.of(sending)

    async def _send_again(self, sending: Sending, guard: Guard | None) -> Sent:
        """Send an uncertain message again. It stays uncertain if it is not due, or gets no answer again."""
        row_id, row = sending.id, sending.row
        while True:
            if row.kind is OutboxKind.REPLY:
                await self.own_messages.until_recognised(row.chat_id)
            async with self._turn(row.chat_id):
                since = self.own_messages.place
                if not await self._outbox.begin_again(sending, most_resends=MOST_RESENDS, guard=guard):
                    return Sent.of(await self._outbox.get(row_id))
                log.info("message sent again", account=self._account_id, chat=row.chat_id, uuid=row.uuid)
                try:
                    return await self._deliver(sending, again=True, since=since)
                except Unrecognised:
                    continue  # it counts as one of the few times that it is sent again
                except (GateClosed, TemporaryFailure):
                    return Sent.of(sending)

    async def take_up(self, newer_than_ms: int) -> None:
        """Continue what the last connection left: send uncertain messages again, then the waiting parts.

        Messages older than ``newer_than_ms`` are left alone; waiting parts that old are dropped. Raise like ``answer``.
        """
        found = await self._outbox.unfinished(self._account_id, newer_than_ms)
        own_uuids, self._own_uuids = self._own_uuids or set(), None
        found = [sending for sending in found if not _waits_for_its_order(sending)]
        unfinished = [sending for sending in found if sending.row.uuid not in own_uuids]
        old = [sending.id for sending in unfinished if sending.created_at_ms <= newer_than_ms]
        await self._outbox.drop_waiting(old, Decision.TOO_OLD.value)
        fresh = [sending for sending in unfinished if sending.created_at_ms > newer_than_ms]
        by_chat = sorted(fresh, key=lambda sending: (sending.row.chat_id, sending.id))
        async with asyncio.TaskGroup() as chats:
            for chat_id, sendings in groupby(by_chat, key=lambda sending: sending.row.chat_id):
                chats.create_task(self._take_up_chat(list(sendings)), name=f"outbox:{self._account_id}:{chat_id}")

    async def _take_up_chat(self, sendings: list[Sending]) -> None:
        for _, answer in groupby(sendings, key=lambda sending: sending.row.message_id or sending.id):
            parts = list(answer)
            before = Sent(SendOutcome.SENT)
            for sending in parts:
                if sending.outcome is SendOutcome.UNCERTAIN and sending.row.kind is not OutboxKind.PAID:
                    guard = None
                    if sending.row.kind is OutboxKind.REPLY:
                        guard = self._not_taken_over(sending)
                    before = await self._send_again(sending, guard)
            waiting = [sending for sending in parts if sending.outcome is SendOutcome.WAITING]
            await self._go_on(before, waiting)

    async def is_ours(self, message: IncomingMessage) -> bool:
        """Whether a message of this account was sent from here. Waits for the chat's sendings in progress."""
        async with self._turn(message.chat_id):
            echoed = await self._outbox.claim_echo(
                self._account_id, message.chat_id, message.message_id, message.text, message.content_type,
                sent_at_ms=message.created_at_ms,
            )  # fmt: skip
        if echoed is not None:
            self.own_messages.recognised(message, by_owner=False)
            for listener in self._echo_listeners:
                await listener(echoed)
        return echoed is not None


def _waits_for_its_order(sending: Sending) -> bool:
    return sending.row.kind is OutboxKind.PAID and sending.outcome is SendOutcome.WAITING
