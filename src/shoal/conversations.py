"""Talking with buyers over one connection: bursts joined, the right rule asked, a human's word respected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import structlog

from shoal.account import Account
from shoal.account_task import Link
from shoal.clock import now_ms, steady_ms
from shoal.config import Settings
from shoal.message_log import Direction, IncomingMessage, MessageLog
from shoal.outbox import Outbox, Reply
from shoal.replies import Answer, AnswerSource, Asked, chosen, joined
from shoal.restraints import Intended, guard_of
from shoal.verdicts import Verdict
from shoal.work_group import WorkGroup

log = structlog.get_logger("shoal.conversations")

LONGEST_BURST_FACTOR = 10
"""A buyer who never stops typing is answered after so many quiet spans all the same."""


@dataclass(slots=True)
class _Burst:
    """What a buyer said in one go; still growing. ``said_at`` is when each message was, by ``steady_ms``."""

    messages: list[IncomingMessage] = field(default_factory=list)
    said_at: dict[str, int] = field(default_factory=dict)
    began: float = 0.0
    grew: float = 0.0


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a burst gets: an answer that may still be held back, or the verdict that it gets none."""

    asked: Asked
    answer: Answer | None = None
    verdict: Verdict = Verdict.PENDING
    rule_id: str = ""


class Conversations:
    """Answers the chats of one connection, the bursts of one chat one after another.

    Waiting (for a burst to end, for an answer's moment) dies with the connection (``tasks``), and the next one takes
    up what was not decided; an answer under way may end first (``work``).
    """

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        message_log: MessageLog,
        tasks: asyncio.TaskGroup,
        work: WorkGroup,
        settings: Settings,
        *,
        account_id: str,
        rng: Random,
        clock_set_ms: int = 0,
    ) -> None:
        """``rng`` sets the human pace; it is no secret.

        ``clock_set_ms``: how far our clock was set forward since what is stored was written.
        """
        self._link = link
        self._outbox = outbox
        self._log = message_log
        self._tasks = tasks
        self._work = work
        self._settings = settings
        self._account_id = account_id
        self._message_age_ms = round(settings.message_age_seconds * 1000)
        self._rng = rng
        self._clock_set_ms = clock_set_ms
        self._bursts: dict[str, _Burst] = {}
        self._talking: set[str] = set()
        self._choosing = asyncio.Lock()
        """One slow choice of this shop at a time, so that no shop takes up every thread."""

    # ── hearing ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def take_up(self) -> None:
        """Go on where the last connection ended: what is ours is told apart, what was asked is answered, unless it has
        grown old.
        """
        await self._log.grow_old(self._account_id, self._oldest_stored_ms())
        waiting = [logged.message for logged in await self._log.unhandled(self._account_id, newer_than_ms=0)]
        for message in waiting:
            if message.direction is not Direction.IN:
                await self._tell_apart(message)
        questions = (message for message in waiting if message.direction is Direction.IN)
        self._hear(questions, said_by_clock_of_ms=now_ms() - self._clock_set_ms)

    async def go_on(self, looked_back: asyncio.Event) -> None:
        """Say to its end what was being said when the last connection ended, unless it has grown old.

        Only after what went out meanwhile is known: nothing is sent again whose echo is there.
        """
        await looked_back.wait()
        self._work.start(self._outbox.take_up(self._oldest_stored_ms()), name=f"outbox:{self._account_id}")

    def _oldest_stored_ms(self) -> int:
        """What was stored with an earlier time, by an earlier connection, has grown old."""
        return now_ms() - self._clock_set_ms - self._message_age_ms

    def heard(self, messages: Iterable[IncomingMessage]) -> None:
        """Buyers said something that is stored already."""
        self._hear(messages, said_by_clock_of_ms=now_ms())

    def _hear(self, messages: Iterable[IncomingMessage], *, said_by_clock_of_ms: int) -> None:
        """``said_by_clock_of_ms``: what the clock that dates the messages shows now.

        From here on their age is counted evenly, whatever becomes of the machine's clock.
        """
        now = asyncio.get_running_loop().time()
        since_steady_ms = steady_ms() - said_by_clock_of_ms
        for message in messages:
            burst = self._bursts.setdefault(message.chat_id, _Burst(began=now))
            if any(known.message_id == message.message_id for known in burst.messages):
                continue
            burst.messages.append(message)
            burst.said_at[message.message_id] = message.created_at_ms + since_steady_ms
            burst.grew = now
            if message.chat_id not in self._talking:
                self._talking.add(message.chat_id)
                self._tasks.create_task(self._talk(message.chat_id), name=f"chat:{self._account_id}:{message.chat_id}")

    def said_by_us(self, message: IncomingMessage) -> None:
        """A message of ours was seen: an echo of what we sent, or the owner speaking for himself."""
        self._work.start(self._tell_apart(message), name=f"echo:{self._account_id}:{message.chat_id}")

    async def _tell_apart(self, message: IncomingMessage) -> None:
        if await self._outbox.is_ours(message):
            await self._log.decide(self._account_id, [message.message_id], Verdict.ECHO)
            return
        account = self._link.current()
        minutes = account.pause_duration if account is not None else 0
        paused = await self._log.mark_human(self._account_id, message, pause_minutes=minutes)
        log.info("owner speaks", account=self._account_id, chat=message.chat_id, paused=paused)

    # ── answering ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _talk(self, chat_id: str) -> None:
        """Answer a chat until nothing is left to answer."""
        try:
            while (burst := self._bursts.get(chat_id)) is not None:
                await self._until_quiet(burst)
                oldest = steady_ms() - self._message_age_ms  # the wait of a rule makes nothing too old
                waited_for = await self._until_its_moment(burst)
                del self._bursts[chat_id]  # what is said from here on is answered after this
                task = self._work.start(
                    self._answer(chat_id, burst, oldest, waited_for),
                    name=f"reply:{self._account_id}:{chat_id}",
                )
                if task is not None:
                    await asyncio.wait({task})
        finally:
            self._talking.discard(chat_id)

    async def _until_quiet(self, burst: _Burst) -> None:
        loop = asyncio.get_running_loop()
        quiet = self._quiet_seconds()
        ends_at = burst.began + quiet * LONGEST_BURST_FACTOR
        while (rest := min(burst.grew + quiet, ends_at) - loop.time()) > 0:  # noqa: ASYNC110  it waits for quiet
            await asyncio.sleep(rest)

    def _quiet_seconds(self) -> float:
        account = self._link.current()
        own = account.debounce_seconds if account else None
        return self._settings.reply_debounce_seconds if own is None else own

    async def _until_its_moment(self, burst: _Burst) -> _Choice | None:
        """Wait as long as the answer of the burst is to take. What is said meanwhile belongs to the burst.

        Returns what was waited for, if anything was.
        """
        choice = await self._choose(self._link.current(), burst.messages)
        if choice.answer is None or not choice.answer.delay_seconds[1]:
            return None
        await asyncio.sleep(self._rng.uniform(*choice.answer.delay_seconds))
        return choice

    async def _answer(self, chat_id: str, burst: _Burst, oldest: int, waited_for: _Choice | None) -> None:
        """Answer what was said no earlier than ``oldest``, by ``steady_ms``."""
        old = [message_id for message_id, said_at in burst.said_at.items() if said_at < oldest]
        await self._log.decide(self._account_id, old, Verdict.TOO_OLD)
        fresh = [message for message in burst.messages if burst.said_at[message.message_id] >= oldest]
        if not fresh:
            return
        account = self._link.current()
        choice = await self._choose(account, fresh)
        ids = [message.message_id for message in fresh]
        if account is None or choice.answer is None:
            await self._hold_back(choice, ids, waited_for)
            return
        intended = self._intended(account, choice, fresh)
        reply = _reply(choice, ids, once=intended.once)
        sent = await self._outbox.answer(reply, guard_of(intended))
        if waited_for is not None and not sent.id:  # it was held back by what came up while it waited
            await self._outbox.drop(reply, Verdict(sent.reason), is_decided=True)
        log.info(
            "replied", account=self._account_id, chat=chat_id, outcome=sent.outcome.value, reason=sent.reason,
            rule=choice.rule_id,
        )  # fmt: skip

    async def _hold_back(self, choice: _Choice, ids: list[str], waited_for: _Choice | None) -> None:
        if waited_for is not None:
            await self._outbox.drop(_reply(waited_for, ids), choice.verdict)
        else:
            await self._log.decide(self._account_id, ids, choice.verdict, rule_id=choice.rule_id)
        log.info("not replied", account=self._account_id, verdict=choice.verdict.value, rule=choice.rule_id)

    async def _choose(self, account: Account | None, messages: Sequence[IncomingMessage]) -> _Choice:
        asked = _joined(messages)
        if account is None or not account.enabled:
            return _Choice(asked, verdict=Verdict.DISABLED)
        async with self._choosing:
            answer = await chosen(account, asked)
        if answer is None:
            return _Choice(asked, verdict=Verdict.NO_RULE)
        rule_id = answer.rule_id or answer.source.value
        if answer.is_silent:
            return _Choice(asked, verdict=Verdict.SILENT_RULE, rule_id=rule_id)
        return _Choice(asked, answer=answer, rule_id=rule_id)

    def _intended(self, account: Account, choice: _Choice, messages: Sequence[IncomingMessage]) -> Intended:
        answer, settings = choice.answer, self._settings
        buyer_limit, shop_limit = account.buyer_replies_per_hour, account.shop_replies_per_minute
        is_default = answer is not None and answer.source is AnswerSource.DEFAULT_REPLY
        return Intended(
            account_id=self._account_id,
            chat_id=choice.asked.chat_id,
            buyer_id=choice.asked.buyer_id,
            asked_at_ms=messages[-1].created_at_ms,
            now_ms=now_ms(),
            rule_id=choice.rule_id,
            cooldown_seconds=answer.cooldown_seconds if answer else 0,
            buyer_replies_per_hour=settings.buyer_replies_per_hour if buyer_limit is None else buyer_limit,
            shop_replies_per_minute=settings.shop_replies_per_minute if shop_limit is None else shop_limit,
            once=is_default and account.default_reply_once,
        )


def _reply(choice: _Choice, ids: list[str], *, once: bool = False) -> Reply:
    return Reply(
        chat_id=choice.asked.chat_id,
        buyer_id=choice.asked.buyer_id,
        parts=choice.answer.parts if choice.answer else (),
        answers=ids,
        rule_id=choice.rule_id,
        once=once,
    )


def _joined(messages: Sequence[IncomingMessage]) -> Asked:
    last = messages[-1]
    return Asked(
        text=joined([message.text for message in messages]),
        chat_id=last.chat_id,
        buyer_id=last.sender_id,
        buyer_name=last.sender_name,
        item_id=next((message.item_id for message in reversed(messages) if message.item_id), None),
    )
