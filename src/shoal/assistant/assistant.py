"""The assistant: asks a shop's language model about a question, once for each run, and stores what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.accounts.model_settings import ModelMode
from shoal.assistant.asking import Answered, Proposal, ProposalKind, ask_model
from shoal.assistant.budget import NoRoom, Reservation, Spending, day_of, lacks_room
from shoal.assistant.contexts import ItemOf, context_of, rail_facts_of
from shoal.assistant.known_chat import DAY_MS, KnownChat, answers_since, read_chat
from shoal.assistant.model_calls import ModelCalls, ModelFailed, WhyFailed
from shoal.assistant.prompt import Context, PromptMessage, messages_of
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import Target, UnknownProvider
from shoal.assistant.rail_facts import RailFacts
from shoal.assistant.runs import MOST_TOKENS_OUT, Beginning, Begun, Made, note
from shoal.clock import now_ms
from shoal.errors import Conflict
from shoal.messages.model_runs import end_run
from shoal.messages.model_source import ModelTurn, NotAsked, Question, RunState, Superseded
from shoal.storage.database import Database

log = structlog.get_logger("shoal.models")

ASKING_SECONDS: Final = 20.0
"""How long a question takes at most, with the second call after an output that cannot be read."""
DISCLOSURE: Final = "【智能客服】"
"""Begins a model's first answer in a chat within a day, unless the owner switched that off."""
BAD_OUTPUT: Final = "bad_output"
"""Why a run failed whose outputs could not be read."""
_ENDS: Final = {
    ProposalKind.HANDOFF: RunState.HANDED_OFF,
    ProposalKind.SILENT: RunState.SILENT,
    ProposalKind.BLOCKED: RunState.BLOCKED,
    ProposalKind.UNREADABLE: RunState.FAILED,
}


@dataclass(slots=True)
class _Run:
    """One run under way. ``made`` has the calls that are to be settled; one that is cut off stays reserved."""

    id: int
    beginning: Beginning
    target: Target
    context: Context
    reserved: Reservation | None
    began: float = field(default_factory=time.monotonic)
    made: list[Made] = field(default_factory=list)

    @property
    def ms(self) -> int:
        """How long it has taken."""
        return round((time.monotonic() - self.began) * 1000)


class Assistant:
    """Asks the models of all accounts."""

    def __init__(
        self,
        database: Database,
        providers: ProviderStore,
        calls: ModelCalls,
        item_of: ItemOf,
        *,
        seconds: float = ASKING_SECONDS,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """``seconds``: how long a question takes at most."""
        self._database = database
        self._providers = providers
        self._calls = calls
        self._item_of = item_of
        self._seconds = seconds
        self._now_ms = now_ms

    @property
    def database(self) -> Database:
        """Where runs are stored."""
        return self._database

    async def ask(self, account: Account, question: Question, moved_on: asyncio.Event) -> ModelTurn:
        """Ask, for a limited time, until ``moved_on`` is set: then the run ends ``superseded``.

        A question that is cut off with the connection leaves its run open; the next connection ends it. Raise
        ``StoreError`` when nothing can be stored.
        """
        turn = ModelTurn(message_ids=question.message_ids, mode=account.ai_mode)
        try:
            target = await self._providers.target(account.owner_id, account.ai_provider_id)
        except UnknownProvider:
            return replace(turn, why=NotAsked.NO_PROVIDER)
        except Conflict:
            return replace(turn, why=NotAsked.NO_CONSENT)
        now = self._now_ms()
        spending = Spending(account.id, target.provider, day_of(account.timezone, now))
        known, may_ask = await self._database.read(
            lambda connection: (
                read_chat(connection, account.id, question),
                _may_ask(connection, account, question, spending, now),
            )
        )
        context = await self._context(account, question, known, with_item=may_ask)
        if moved_on.is_set():  # while the site was asked for the item
            return turn
        now = self._now_ms()
        beginning = Beginning(
            account=account,
            question=question,
            spending=spending,
            prompt=messages_of(context),
            calls=not context.item_is_gone,
        )
        begun: Begun = await self._database.write(lambda connection: beginning.begin(connection, now))
        if not begun.run_id:
            log.info("model not asked", account=account.id, why=begun.why)
            return replace(turn, why=begun.why)
        run = _Run(begun.run_id, beginning, target, context, begun.reservation)
        left = account.ai_turns_per_chat - begun.answers
        facts = rail_facts_of(
            account, context, item_id=question.item_id, turns_left=left, last_answer=known.last_answer
        )
        proposal, why = await self._proposed(run, facts, moved_on)
        if not why and proposal is None:
            await self._supersede(run)
            return turn
        await self._database.write(
            lambda connection: note(connection, run.id, run.made, proposal, run.ms, self._now_ms())
        )
        for verdict in proposal.verdicts if proposal is not None else ():
            if not verdict.passed:
                self._calls.held_back.add(verdict.rail.value)
        return self._turn(turn, run, proposal, why, is_first=not begun.answers)

    def _turn(self, turn: ModelTurn, run: _Run, proposal: Proposal | None, why: str, *, is_first: bool) -> ModelTurn:
        """Return what comes of a proposal, if nothing in the chat is in the way."""
        account = run.beginning.account
        if proposal is None:
            end, text = RunState.FAILED, ""
        elif proposal.kind is ProposalKind.REPLY:
            is_auto = account.ai_mode == ModelMode.AUTO
            end, text = (RunState.ANSWERED if is_auto else RunState.DRAFTED), proposal.text
            if is_auto and is_first and account.ai_disclosure:
                text = DISCLOSURE + text
        else:
            end, text = _ENDS[proposal.kind], ""
            why = BAD_OUTPUT if proposal.kind is ProposalKind.UNREADABLE else proposal.why
        log.info("model asked", account=account.id, run=run.id, end=end.value, why=why, ms=run.ms)
        return replace(turn, run_id=run.id, end=end, why=why, text=text)

    async def _proposed(self, run: _Run, facts: RailFacts, moved_on: asyncio.Event) -> tuple[Proposal | None, str]:
        """Return what the model proposes, or why it failed; neither when the chat moved on first."""
        asking = asyncio.create_task(self._asked(run, facts), name=f"model:{run.beginning.account.id}:{run.id}")
        moving = asyncio.create_task(moved_on.wait(), name=f"moved:{run.beginning.account.id}:{run.id}")
        try:
            await asyncio.wait({asking, moving}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return None, ""
            return asking.result(), ""
        except ModelFailed as failure:
            return None, failure.why.value
        except NoRoom as no_room:  # for the second call, after an output that could not be read
            return None, no_room.why.value
        finally:
            for task in (asking, moving):
                task.cancel()
            await asyncio.gather(asking, moving, return_exceptions=True)

    async def _asked(self, run: _Run, facts: RailFacts) -> Proposal:
        async def call(prompt: list[PromptMessage]) -> Answered:
            reservation, run.reserved = run.reserved, None
            if reservation is None:
                reservation = await self._reserved_again(run)
            rest = self._seconds - run.ms / 1000
            try:
                async with asyncio.timeout(rest):
                    answer = await self._calls.ask(run.target, prompt, MOST_TOKENS_OUT, context=run.context)
            except (ModelFailed, TimeoutError) as error:
                failure = error if isinstance(error, ModelFailed) else ModelFailed(WhyFailed.TIMEOUT)
                run.made.append((reservation, failure))
                raise failure from None
            run.made.append((reservation, answer))
            return answer

        return await ask_model(call, run.context, facts, owner_id=run.beginning.account.owner_id)

    async def _reserved_again(self, run: _Run) -> Reservation:
        """Reserve a second call. Raises ``NoRoom``, after the transaction that records it."""
        now = self._now_ms()

        def job(connection: Connection) -> Reservation | NoRoom:
            try:
                return run.beginning.reserve(connection, now)
            except NoRoom as no_room:
                return no_room

        reserved = await self._database.write(job)
        if isinstance(reserved, NoRoom):
            raise reserved
        return reserved

    async def _supersede(self, run: _Run) -> None:
        """End a run that was cut off because the buyer wrote on. What it reserved stays spent."""
        now = self._now_ms()

        def job(connection: Connection) -> None:
            note(connection, run.id, run.made, None, run.ms, now)
            end_run(connection, run.id, RunState.SUPERSEDED, Superseded.BUYER_WROTE, now)

        await self._database.write(job)

    async def _context(self, account: Account, question: Question, known: KnownChat, *, with_item: bool) -> Context:
        return await context_of(
            account,
            question.text,
            self._item_of,
            item_id=question.item_id if with_item else None,
            turns=known.turns,
            ids=(question.buyer_id, question.chat_id),
            names=(question.buyer_name,),
        )


def _may_ask(connection: Connection, account: Account, question: Question, spending: Spending, now_ms: int) -> bool:
    """Return whether the limits may let a question about an item be asked; else its page is not worth a call."""
    if not question.item_id:
        return True
    if answers_since(connection, account.id, question.chat_id, now_ms - DAY_MS) >= account.ai_turns_per_chat:
        return False
    return not lacks_room(connection, spending, MOST_TOKENS_OUT, account.ai_tokens_per_day, now_ms=now_ms)
