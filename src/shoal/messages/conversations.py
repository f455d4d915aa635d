"""Answers buyers over one connection: joins bursts, chooses the rule, stops when the owner writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import now_ms, steady_ms
from shoal.concurrency.small_event import SmallEvent
from shoal.config import Settings
from shoal.messages.bursts import Burst, Place, asked_of
from shoal.messages.decisions import Decision
from shoal.messages.handoff import handed_off
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.messages.model_source import ModelSource, Superseded
from shoal.messages.model_turns import Ending, ModelTurns, is_left_to_model, settled_choice
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.outgoing import reply_of
from shoal.messages.replies import AnswerSource, Choice, choose
from shoal.messages.send_guards import MINUTE_MS, Intended, guard_of
from shoal.messages.sender import DecidedBefore, Reply, Sender, Sent
from shoal.messages.takeovers import pause_event
from shoal.messages.task_drain import TaskDrain, begin
from shoal.traces import Trace
from shoal.traces import begin as begin_trace

log = structlog.get_logger("shoal.conversations")

LONGEST_ROOM_WAIT_SECONDS = 5.0
"""The longest wait before an answer that the account's limit delayed is tried again."""

LONGEST_BURST_FACTOR = 10
"""The longest burst, in quiet spans: a buyer who keeps writing is answered after that time."""


class Conversations:
    """Answers the chats of one connection; the bursts of one chat one after another.

    Waits (for the end of a burst, for an answer's delay) end with the connection (``tasks``); the next connection
    continues with undecided messages. An answer that is being sent may finish first (``work``).
    """

    def __init__(
        self,
        link: Link,
        sender: Sender,
        message_log: MessageLog,
        tasks: asyncio.TaskGroup,
        work: TaskDrain,
        settings: Settings,
        *,
        account_id: str,
        rng: Random,
        clock_set_ms: int = 0,
        restored_at_ms: int = 0,
        models: ModelSource | None = None,
    ) -> None:
        """``rng`` sets the delay of answers; it need not be secret.

        ``clock_set_ms``: how far our clock was set forward since the stored messages were written.
        ``restored_at_ms``: when a backup was restored. Older messages may have been answered since it.
        ``models``: asks the shop's language model; without it none is asked.
        """
        self._link = link
        self._sender = sender
        self._log = message_log
        self._tasks = tasks
        self._work = work
        self._settings = settings
        self._account_id = account_id
        self._message_age_ms = round(settings.message_age_seconds * 1000)
        self._rng = rng
        self._clock_set_ms = clock_set_ms
        self._restored_at_ms = restored_at_ms
        self._bursts: dict[str, Burst] = {}
        self._talking: set[str] = set()
        self._received_before: set[str] | None = set()
        """Messages received before ``take_up`` has read the waiting ones: what it read of them may be outdated."""
        self._models = ModelTurns(models, message_log, account_id) if models is not None else None
        self._choosing = asyncio.Lock()
        """One slow choice of this account at a time, so that it does not occupy all threads."""
        self._room = asyncio.Lock()
        """Held by the chat that is next when the account's limit allows another reply; the others wait."""

    # ── receiving ───────────────────────────────────────────────────────────────────────────────────────────────

    async def grow_old(self) -> None:
        """Decide about what is too old, before this connection stores messages that it dates by the clock of now."""
        account = self._link.current()
        delay_seconds = max((rule.delay_seconds[1] for rule in account.keywords), default=0.0) if account else 0.0
        await self._log.grow_old(self._account_id, self._oldest_stored_ms() - round(delay_seconds * 1000))

    async def take_up(self) -> None:
        """Continue after the last connection: check own messages for echoes, answer messages that are not too old."""
        if self._models is not None:
            await self._models.interrupted()
        waiting = [logged.message for logged in await self._log.unhandled(self._account_id, newer_than_ms=0)]
        for message in waiting:
            if message.direction is not Direction.IN:
                await self._handle_own(message)
        received, self._received_before = self._received_before, None
        known = received or ()
        questions = [one for one in waiting if one.direction is Direction.IN and one.message_id not in known]
        self.received(questions, set_ms=self._clock_set_ms)

    async def go_on(self, looked_back: SmallEvent) -> None:
        """Finish answers that the last connection began, unless they are too old.

        It first waits until messages sent in the meantime are known, so that nothing is sent again after its echo.
        """
        await looked_back.wait()
        self._work.start(self._sender.take_up(self._oldest_stored_ms()), name=f"outbox:{self._account_id}")

    def _oldest_stored_ms(self) -> int:
        """Return the time before which stored messages are too old."""
        return max(now_ms() - self._clock_set_ms - self._message_age_ms, min(self._restored_at_ms, now_ms()))

    def received(self, messages: Sequence[IncomingMessage], *, set_ms: int = 0) -> None:
        """Answer buyers' messages, which are already stored.

        ``set_ms``: how far our clock was set forward since it dated the messages. From here on their age is measured by
        the steady clock, so that setting the machine's clock changes nothing.
        """
        if self._received_before is not None:
            self._received_before.update(message.message_id for message in messages)
        now = asyncio.get_running_loop().time()
        since_steady_ms = steady_ms() - now_ms() + set_ms
        for message in messages:
            burst = self._bursts.setdefault(message.chat_id, Burst(began=now))
            burst.add(message, message.created_at_ms + since_steady_ms, now)
            if message.chat_id not in self._talking:
                self._talking.add(message.chat_id)
                # When the connection is ending, the next one answers: the message is stored.
                begin(self._tasks, self._talk(message.chat_id), name=f"chat:{self._account_id}:{message.chat_id}")

    def sent_by_us(self, message: IncomingMessage) -> None:
        """Handle an own message: the echo of a message from this server, or one that the owner wrote."""
        self._sender.own_messages.taken(message.message_id)
        self._work.start(self._handle_own(message), name=f"echo:{self._account_id}:{message.chat_id}")

    async def handle_own(self, chat_id: str) -> None:
        """Handle the stored own messages of a chat that are not checked yet."""
        for logged in await self._log.unhandled(self._account_id, newer_than_ms=0):
            if logged.message.chat_id == chat_id and logged.message.direction is Direction.OUT:
                await self._handle_own(logged.message)

    async def _handle_own(self, message: IncomingMessage) -> None:
        if await self._sender.is_ours(message):
            await self._log.decide(self._account_id, [message.message_id], Decision.ECHO)
            return
        account = self._link.current()
        minutes = account.pause_duration if account is not None else 0
        paused = await self._log.mark_human(self._account_id, message, pause_minutes=minutes)
        self._sender.own_messages.recognised(message, by_owner=True)
        log.info("owner speaks", account=self._account_id, chat=message.chat_id, paused=paused)

    # ── answering ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _talk(self, chat_id: str) -> None:
        """Answer a chat until no message is left."""
        try:
            while (burst := self._bursts.get(chat_id)) is not None:
                await self._supersede_drafts(chat_id)
                await self._until_its_moment(burst)
                async with AsyncExitStack() as room:
                    while True:
                        await self._ask_model(burst)
                        del self._bursts[chat_id]  # later messages start the next burst
                        is_first_try = burst.place is Place.NONE
                        name = f"reply:{self._account_id}:{chat_id}"
                        task = self._work.start(self._answer(chat_id, burst), name=name)
                        if task is not None:
                            await asyncio.wait({task})
                        if task is None or burst.place is not Place.IN_LINE:
                            break
                        if (later := self._bursts.get(chat_id)) is not None:
                            burst.join(later)
                        self._bursts[chat_id] = burst
                        if is_first_try:  # in order of arrival, one at a time: no burst when the limit allows more
                            await room.enter_async_context(self._room)
                        await asyncio.sleep(self._room_seconds())
                        burst.come_first()
        finally:
            self._talking.discard(chat_id)

    async def _supersede_drafts(self, chat_id: str) -> None:
        account = self._link.current()
        if self._models is not None and account is not None and account.asks_model:
            await self._models.supersede_drafts(chat_id, Superseded.BUYER_WROTE)

    async def _ask_model(self, burst: Burst) -> None:
        """Ask the language model about what nothing else answers. What the buyer adds before the answer is asked too.

        It is asked here, and not in a task of ``work``, so that the end of the connection ends the call.
        """
        while self._models is not None:
            account, (_, fresh) = self._link.current(), burst.split(self._oldest_steady_ms(burst))
            ids = tuple(message.message_id for message in fresh)
            if account is None or not account.asks_model or not ids:
                return
            if burst.turn is not None and burst.turn.message_ids == ids:
                return
            async with self._choosing:
                choice = await choose(account, asked_of(fresh))
            if not is_left_to_model(account, choice):
                return
            if burst.turn is not None:
                await self._models.supersede(burst.turn, choice.asked.chat_id, Superseded.BUYER_WROTE)
            burst.grown.clear()
            intended = self._intended(account, choice, fresh)
            burst.turn = await self._models.ask(account, choice.asked, ids, intended, burst.grown)
            if not burst.grown.is_set():
                return
            await asyncio.sleep(self._quiet_seconds())

    def _oldest_steady_ms(self, burst: Burst) -> int:
        """Return the time, by ``steady_ms``, before which messages are too old. A rule's delay makes none too old."""
        oldest = steady_ms() - self._message_age_ms - burst.delay_ms
        return max(oldest, self._restored_at_ms - now_ms() + steady_ms())

    def _room_seconds(self) -> float:
        """Return the average interval that the account's limit per minute allows between replies."""
        limit = self._shop_limit(self._link.current())
        return min(LONGEST_ROOM_WAIT_SECONDS, MINUTE_MS / 1000 / limit) if limit else 0.0

    def _shop_limit(self, account: Account | None) -> int:
        own = account.shop_replies_per_minute if account is not None else None
        return self._settings.shop_replies_per_minute if own is None else own

    def _quiet_seconds(self) -> float:
        account = self._link.current()
        own = account.debounce_seconds if account else None
        return self._settings.reply_debounce_seconds if own is None else own

    async def _until_its_moment(self, burst: Burst) -> None:
        """Wait until the buyer pauses, then for the answer's delay. Later messages join the burst.

        The delay is counted from the buyer's message, so a restart or a lost connection makes no buyer wait twice.
        """
        loop, quiet = asyncio.get_running_loop(), self._quiet_seconds()
        ends_at = burst.began + quiet * LONGEST_BURST_FACTOR
        while (rest := min(burst.grew + quiet, ends_at) - loop.time()) > 0:  # noqa: ASYNC110  it waits for quiet
            await asyncio.sleep(rest)
        async with self._choosing:
            choice = await choose(self._link.current(), asked_of(burst.messages))
        if choice.answer is None or choice.answer.is_silent or not choice.answer.delay_seconds[1]:
            return
        delay_ms = round(self._rng.uniform(*choice.answer.delay_seconds) * 1000)
        burst.waited_for, burst.delay_ms = choice, delay_ms
        sent_at = burst.sent_at[burst.messages[-1].message_id]
        await asyncio.sleep(min(delay_ms, sent_at + delay_ms - steady_ms()) / 1000)

    async def _answer(self, chat_id: str, burst: Burst) -> None:
        """Answer messages that are not too old. Old ones that the limit delayed keep that decision."""
        due_at = asyncio.get_running_loop().time()
        with begin_trace("message", age_seconds=due_at - burst.began, account=self._account_id) as trace:
            trace.step("wait")
            await self._answer_due(chat_id, burst, due_at, trace)

    async def _answer_due(self, chat_id: str, burst: Burst, due_at: float, trace: Trace) -> None:
        old, fresh = burst.split(self._oldest_steady_ms(burst))
        for decision, for_good in ((Decision.TOO_OLD, False), (Decision.SHOP_LIMIT, True)):
            ids = [
                message.message_id
                for message in old
                if (message.message_id in burst.held_up) is (decision is Decision.SHOP_LIMIT)
            ]
            await self._log.decide(self._account_id, ids, decision, for_good=for_good)
        waited_for = burst.waited_for
        burst.messages = list(fresh)
        if not fresh:
            await self._leave_turn(burst, chat_id)
            return
        account = self._link.current()
        async with self._choosing:
            choice = await choose(account, asked_of(fresh))
        trace.step("decide")
        ids = [message.message_id for message in fresh]
        ending = await self._ending(burst, account, choice, ids)
        if account is not None:
            choice = settled_choice(account, choice, ending, burst.turn)
        trace.note(decision=choice.decision.value or "answer")
        is_guarded = ending is not None or choice.decision in {Decision.PENDING, Decision.HANDED_OFF}
        if account is None or not is_guarded:
            await self._hold_back(choice, ids, waited_for)
            return
        intended = self._intended(account, choice, fresh, by_model=ending is not None)
        if choice.decision is not Decision.PENDING:
            await self._decide_silently(choice, intended, ids, waited_for, ending)
            return
        reply = reply_of(choice, ids, once=intended.once, asked_at_ms=intended.asked_at_ms)
        try:
            sent = await self._send(reply, intended, burst, ending)
        except DecidedBefore as before:  # the remaining messages may get another answer
            burst.messages = [one for one in fresh if one.message_id not in before.message_ids]
            await self._answer(chat_id, burst)
            return
        trace.step("send")
        trace.note(outcome=sent.outcome.value)
        if intended.hands_off and sent.id and sent.reason != Decision.HUMAN_ANSWERED:
            self._log.publish(pause_event(handed_off(self._account_id, chat_id, intended.now_ms), intended.now_ms))
        if sent.outcome is SendOutcome.SENT:
            self._log.outbox.counts.reply_seconds.add(asyncio.get_running_loop().time() - due_at)
        if not sent.id and sent.reason == Decision.SHOP_LIMIT:
            burst.line_up(ids)
            return
        if waited_for is not None and not sent.id:  # a guard stopped it after its delay
            await self._sender.drop(reply, Decision(sent.reason), is_decided=True)
        outcome = {"outcome": sent.outcome.value, "reason": sent.reason, "rule": choice.rule_id}
        log.info("replied", account=self._account_id, chat=chat_id, **outcome)

    async def _send(self, reply: Reply, intended: Intended, burst: Burst, ending: Ending | None) -> Sent:
        """Send an answer, unless others have waited longer for room in the account's limit. Raise ``DecidedBefore``."""
        if self._room.locked() and burst.place is not Place.FIRST:
            await self._log.decide(self._account_id, reply.answers, Decision.SHOP_LIMIT, rule_id=reply.rule_id)
            return Sent(SendOutcome.DROPPED, Decision.SHOP_LIMIT)
        if ending is None:
            return await self._sender.answer(reply, guard_of(intended))
        try:
            sent = await self._sender.answer(replace(reply, stored=ending.stored), ending.guard(guard_of(intended)))
        finally:
            ending.publish(self._log, self._account_id, reply.chat_id)
        if ending.state is None and sent.reason == Decision.REPLIES_OFF:  # the guard was not asked
            await self._leave_turn(burst, reply.chat_id, Superseded.SWITCHED_OFF)
        return sent

    async def _ending(self, burst: Burst, account: Account | None, choice: Choice, ids: list[str]) -> Ending | None:
        """Return the end of the model's run if its turn answers these messages, else supersede it."""
        turn = burst.turn
        if turn is None or not turn.run_id:
            return None
        if account is not None and is_left_to_model(account, choice) and turn.answers(ids, account.ai_mode):
            return Ending(turn)
        await self._leave_turn(burst, choice.asked.chat_id, Superseded.RULE)
        return None

    async def _leave_turn(self, burst: Burst, chat_id: str, why: Superseded = Superseded.TOO_OLD) -> None:
        if self._models is not None and burst.turn is not None:
            await self._models.supersede(burst.turn, chat_id, why)

    async def _hold_back(self, choice: Choice, ids: list[str], waited_for: Choice | None) -> None:
        if waited_for is not None:
            await self._sender.drop(reply_of(waited_for, ids), choice.decision, words=choice.words)
        else:
            rule_id, words = choice.rule_id, choice.words
            await self._log.decide(self._account_id, ids, choice.decision, rule_id=rule_id, words=words)
        log.info("not replied", account=self._account_id, decision=choice.decision.value, rule=choice.rule_id)

    async def _decide_silently(
        self, choice: Choice, intended: Intended, ids: list[str], waited_for: Choice | None, ending: Ending | None
    ) -> None:
        """Hand the chat off without a sentence, or store what a model decided, unless something holds it back."""
        guard = guard_of(intended)
        decision = await self._log.decide(
            self._account_id, ids, choice.decision, rule_id=choice.rule_id, words=choice.words,
            guard=guard if ending is None else ending.guard(guard),
        )  # fmt: skip
        if ending is not None:
            ending.publish(self._log, self._account_id, intended.chat_id)
        if waited_for is not None:
            await self._sender.drop(reply_of(waited_for, ids), decision, is_decided=True)
        if intended.hands_off and decision is choice.decision:
            pause = handed_off(self._account_id, intended.chat_id, intended.now_ms)
            self._log.publish(pause_event(pause, intended.now_ms))
        log.info("not replied", account=self._account_id, decision=decision.value, rule=choice.rule_id)

    def _intended(
        self, account: Account, choice: Choice, messages: Sequence[IncomingMessage], *, by_model: bool = False
    ) -> Intended:
        answer, settings, source = choice.answer, self._settings, choice.source
        buyer_limit = account.buyer_replies_per_hour
        is_silent = choice.decision is not Decision.PENDING
        is_apart = is_silent or source in {AnswerSource.HANDOFF, AnswerSource.AWAY_REPLY}  # sent once: no buyer's limit
        return Intended(
            account_id=self._account_id,
            chat_id=choice.asked.chat_id,
            buyer_id=choice.asked.buyer_id,
            asked_at_ms=messages[-1].created_at_ms,
            now_ms=now_ms(),
            rule_id=choice.rule_id,
            cooldown_seconds=answer.cooldown_seconds if answer else 0,
            buyer_replies_per_hour=0
            if is_apart
            else settings.buyer_replies_per_hour
            if buyer_limit is None
            else buyer_limit,
            shop_replies_per_minute=0 if is_silent else self._shop_limit(account),
            once=source is AnswerSource.DEFAULT_REPLY and account.default_reply_once,
            once_since_ms=choice.closed.since_ms if choice.closed is not None else None,
            once_held=choice.waits,
            hands_off=source is AnswerSource.HANDOFF,
            by_model=by_model,
        )
