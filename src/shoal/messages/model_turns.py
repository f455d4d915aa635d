"""A model's turns in the chats of one connection: when it is asked, and how what it says is used or superseded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.accounts.model_settings import ModelMode
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.messages.model_runs import (
    end_run,
    has_asked,
    has_draft,
    interrupt_runs,
    note_message,
    run_event,
    supersede_drafts,
)
from shoal.messages.model_source import ModelSource, ModelTurn, NotAsked, Question, RunState, Superseded
from shoal.messages.outbox import Guard
from shoal.messages.replies import Answer, AnswerSource, Asked, Choice, away_choice, handoff_choice
from shoal.messages.send_guards import Intended, held_for_owner
from shoal.rules.opening_hours import Closed
from shoal.rules.rule import Part
from shoal.rules.schedule import day_began_ms

log = structlog.get_logger("shoal.models")

_AWAY: Final = frozenset({"tokens", "money", "pace", "resting", "consent", NotAsked.NO_PROVIDER, NotAsked.NO_CONSENT})
"""Why a model is away: it was not asked, and the chat's own limit is not the reason."""
_LEFT_BY_RULES: Final = frozenset({"", AnswerSource.DEFAULT_REPLY.value})


def is_left_to_model(account: Account | None, choice: Choice) -> bool:
    """Return whether neither a rule nor an item's reply nor anything before them answers, and the shop has a model."""
    if account is None or choice.rule_id not in _LEFT_BY_RULES:
        return False
    is_left = choice.decision in {Decision.NO_RULE, Decision.PENDING, Decision.FILTERED}
    return is_left and account.asks_model_at(now_ms())


class Ending:
    """The end of a turn's run, in the transaction that decides about the messages: one of them never without the other.

    ``state`` is the one that was stored, ``None`` while the run is open.
    """

    def __init__(self, turn: ModelTurn) -> None:
        self.turn = turn
        self.state: RunState | None = None

    def guard(self, guard: Guard) -> Guard:
        """Return the guard with the end of the run. A reply that only the shop's limit delays stays asked."""
        turn = self.turn

        def ending(connection: Connection) -> Decision | None:
            held = guard(connection)
            if held is Decision.SHOP_LIMIT:
                return held
            state, why = (turn.end, turn.why) if held is None else (RunState.SUPERSEDED, held.value)
            if not end_run(connection, turn.run_id, state, why, now_ms()):
                return Decision.PENDING  # another connection has the messages now
            self.state = state
            return held

        return ending

    def stored(self, connection: Connection, outbox_id: int) -> None:
        """Note the message that the turn became."""
        note_message(connection, self.turn.run_id, outbox_id)

    def publish(self, message_log: MessageLog, account_id: str, chat_id: str) -> None:
        """Publish how the run ended, after the transaction."""
        if self.state is not None:
            message_log.publish(run_event(account_id, chat_id, self.turn.run_id, self.state, now_ms()))


class ModelTurns:
    """The turns of one account's model."""

    def __init__(self, source: ModelSource, message_log: MessageLog, account_id: str) -> None:
        self._source = source
        self._database = source.database
        self._log = message_log
        self._account_id = account_id

    async def ask(
        self, account: Account, asked: Asked, ids: Sequence[str], intended: Intended, moved_on: asyncio.Event
    ) -> ModelTurn:
        """Ask the model. If nothing can be stored, it is not asked and has no say."""
        question = Question(
            chat_id=asked.chat_id,
            buyer_id=asked.buyer_id,
            buyer_name=asked.buyer_name,
            text=asked.text,
            item_id=asked.item_id,
            message_ids=tuple(ids),
            guard=lambda connection: held_for_owner(connection, intended),
        )
        try:
            return await self._source.ask(account, question, moved_on)
        except StoreError as error:
            log.warning("model not asked", account=self._account_id, why=error.code)
            return ModelTurn(message_ids=tuple(ids))

    async def supersede(self, turn: ModelTurn, chat_id: str, why: Superseded) -> None:
        """End the run of a turn that is not used, if it is open."""
        if not turn.run_id:
            return
        at_ms = now_ms()

        def job(connection: Connection) -> bool:
            return end_run(connection, turn.run_id, RunState.SUPERSEDED, why.value, at_ms)

        if await self._database.write(job):
            self._log.publish(run_event(self._account_id, chat_id, turn.run_id, RunState.SUPERSEDED, at_ms))

    async def supersede_drafts(self, chat_id: str, why: Superseded) -> None:
        """End the open drafts of a chat in which its buyer wrote again. Without one it only reads an index."""
        mine = (self._account_id, chat_id)
        if await self._database.read(lambda connection: has_draft(connection, *mine)):
            at_ms = now_ms()
            ended = await self._database.write(lambda one: supersede_drafts(one, *mine, why.value, at_ms))
            for run_id in ended:
                self._log.publish(run_event(*mine, run_id, RunState.SUPERSEDED, at_ms))

    async def interrupted(self) -> None:
        """End the runs that the last connection left. Their messages are asked about again, if they are young enough.

        It first waits for writes that the connection sent and did not see finished.
        """
        mine = self._account_id
        if not await self._database.read(lambda connection: has_asked(connection, mine)):
            return  # the usual case: without a write, a full disk blocks no connection
        await self._database.settled()
        at_ms = now_ms()
        for run_id, chat_id in await self._database.write(lambda one: interrupt_runs(one, mine, at_ms)):
            self._log.publish(run_event(mine, chat_id, run_id, RunState.FAILED, at_ms))


def settled_choice(account: Account, choice: Choice, ending: Ending | None, turn: ModelTurn | None) -> Choice:
    """Return the choice with what the model answers, or what is sent while it is away and nothing else answers."""
    if ending is not None:
        return choice_of(account, choice.asked, ending.turn)
    if choice.decision is not Decision.NO_RULE or not account.asks_model:
        return choice
    at_ms = now_ms()
    closed = account.model_closed_at(at_ms)
    if closed is None:
        if turn is None or turn.run_id or turn.why not in _AWAY:
            return choice
        closed = Closed(day_began_ms(account.timezone, at_ms), None)
    return away_choice(account, choice.asked, closed)


def choice_of(account: Account, asked: Asked, turn: ModelTurn) -> Choice:
    """Return the choice that a turn means.

    A draft shop's model says nothing by itself: its hand-off has no sentence.
    """
    rule_id = AnswerSource.MODEL.value
    if turn.end is RunState.ANSWERED:
        answer = Answer(source=AnswerSource.MODEL, rule_id=rule_id, parts=(Part(text=turn.text),))
        return Choice(asked, answer, Decision.PENDING, rule_id)
    if turn.end is RunState.DRAFTED:
        return Choice(asked, None, Decision.DRAFTED, rule_id)
    if turn.end is RunState.SILENT:
        return Choice(asked, None, Decision.SILENT_RULE, rule_id)
    return handoff_choice(account, asked, with_sentence=turn.mode == ModelMode.AUTO)
