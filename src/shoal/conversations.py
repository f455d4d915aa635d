"""Talking with buyers over one connection: bursts joined, the right rule asked, a human's word respected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from shoal.account import Account
from shoal.account_task import Link, now_ms
from shoal.message_log import IncomingMessage, MessageLog, SendOutcome
from shoal.outbox import Letter, Outbox
from shoal.replies import AnswerSource, Asked, choose_answer
from shoal.work_group import WorkGroup

log = structlog.get_logger("shoal.conversations")

LONGEST_BURST_FACTOR = 10
"""A buyer who never stops typing is answered after so many quiet spans all the same."""


@dataclass(slots=True)
class _Burst:
    """What a buyer said in one go; still growing."""

    messages: list[IncomingMessage] = field(default_factory=list)
    began: float = 0.0
    grew: float = 0.0


class Conversations:
    """Answers the chats of one connection.

    Waiting for a burst to end dies with the connection (``tasks``); an answer under way may end first (``work``).
    """

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        message_log: MessageLog,
        tasks: asyncio.TaskGroup,
        work: WorkGroup,
        *,
        account_id: str,
        debounce_seconds: float,
        message_age_seconds: float,
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._log = message_log
        self._tasks = tasks
        self._work = work
        self._account_id = account_id
        self._debounce_seconds = debounce_seconds
        self._message_age_ms = round(message_age_seconds * 1000)
        self._bursts: dict[str, _Burst] = {}

    async def take_up(self) -> None:
        """Answer what was stored and not answered before the last connection ended, unless it has grown old."""
        waiting = await self._log.unhandled(self._account_id, newer_than_ms=now_ms() - self._message_age_ms)
        self.heard(logged.message for logged in waiting)

    def heard(self, messages: Iterable[IncomingMessage]) -> None:
        """Buyers said something that is stored already."""
        now = asyncio.get_running_loop().time()
        for message in messages:
            burst = self._bursts.get(message.chat_id)
            if burst is None:
                burst = self._bursts[message.chat_id] = _Burst(began=now)
                self._tasks.create_task(
                    self._answer_when_quiet(message.chat_id, burst), name=f"burst:{self._account_id}:{message.chat_id}"
                )
            burst.messages.append(message)
            burst.grew = now

    def said_by_us(self, message: IncomingMessage) -> None:
        """A message of ours was seen: an echo of what we sent, or the owner speaking for himself."""
        self._work.start(self._tell_apart(message), name=f"echo:{self._account_id}:{message.chat_id}")

    async def _tell_apart(self, message: IncomingMessage) -> None:
        if not await self._outbox.is_ours(message):
            await self._log.mark_human(self._account_id, message.message_id)
            log.info("owner speaks", account=self._account_id, chat=message.chat_id)

    async def _answer_when_quiet(self, chat_id: str, burst: _Burst) -> None:
        loop = asyncio.get_running_loop()
        quiet = self._quiet_seconds()
        ends_at = burst.began + quiet * LONGEST_BURST_FACTOR
        while (rest := min(burst.grew + quiet, ends_at) - loop.time()) > 0:  # noqa: ASYNC110  it waits for quiet
            await asyncio.sleep(rest)
        del self._bursts[chat_id]
        self._work.start(self._answer(chat_id, burst.messages), name=f"reply:{self._account_id}:{chat_id}")

    def _quiet_seconds(self) -> float:
        account = self._link.current()
        own = account.debounce_seconds if account else None
        return self._debounce_seconds if own is None else own

    async def _answer(self, chat_id: str, messages: list[IncomingMessage]) -> None:
        account = self._link.current()
        if account is None or not account.enabled:
            return  # unhandled still: it is answered if the owner enables the shop before it grows old
        letters = await self._letters(account, chat_id, messages)
        if not letters:
            await self._log.mark_handled(self._account_id, [message.message_id for message in messages])
        for letter in letters:
            sent = await self._outbox.send(letter)
            log.info("replied", account=self._account_id, chat=chat_id, outcome=sent.outcome.value, rule=letter.rule_id)
            if sent.outcome is SendOutcome.DROPPED:
                return

    async def _letters(self, account: Account, chat_id: str, messages: list[IncomingMessage]) -> list[Letter]:
        """One letter for each part of the answer; the first one answers the messages."""
        fresh = [message for message in messages if self._is_fresh(message)]
        if not fresh or await self._human_speaks(account, chat_id):
            return []
        asked = _joined(fresh)
        answer = choose_answer(account, asked)
        if answer is None:
            return []
        once = account.default_reply_once and answer.source is AnswerSource.DEFAULT_REPLY
        return [
            Letter(
                chat_id=chat_id,
                buyer_id=asked.buyer_id,
                text=part.text,
                image_url=part.image_url,
                rule_id=answer.rule_id or answer.source.value,
                answers=[] if place else [message.message_id for message in messages],
                once=once and not place,
            )
            for place, part in enumerate(answer.parts)
        ]

    def _is_fresh(self, message: IncomingMessage) -> bool:
        return not message.created_at_ms or message.created_at_ms >= now_ms() - self._message_age_ms

    async def _human_speaks(self, account: Account, chat_id: str) -> bool:
        if not account.pause_duration:
            return False
        last = await self._log.last_human_at_ms(self._account_id, chat_id)
        return last is not None and last >= now_ms() - account.pause_duration * 60_000


def _joined(messages: list[IncomingMessage]) -> Asked:
    last = messages[-1]
    return Asked(
        text="\n".join(message.text for message in messages),
        chat_id=last.chat_id,
        buyer_id=last.sender_id,
        buyer_name=last.sender_name,
        item_id=next((message.item_id for message in reversed(messages) if message.item_id), None),
    )
