"""Trials: a shop's model is asked as for a buyer, and nothing is sent. The calls cost, and count as any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.assistant.asking import Answered, Proposal, ProposalKind, ask_model
from shoal.assistant.budget import NoRoom, NoRoomWhy, Reservation, Spending, day_of, reserve, settle, settle_failure
from shoal.assistant.contexts import rail_facts_of
from shoal.assistant.model_calls import CALL_SECONDS, ModelCalls, ModelFailed, WhyFailed, estimated_tokens
from shoal.assistant.prompt import Context, PromptMessage, messages_of
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import Target, UnknownProvider
from shoal.assistant.runs import MOST_TOKENS_OUT
from shoal.clock import now_ms
from shoal.errors import Conflict
from shoal.storage.database import Database


class TrialDecision(StrEnum):
    """What would become of the question."""

    REPLY = "reply"
    HANDOFF = "handoff"
    SILENT = "silent"
    BLOCKED = "blocked"
    FAILED = "failed"
    """No answer, or none that can be read; a buyer's chat would be handed over."""
    BUDGET = "budget"
    RESTING = "resting"
    BUSY = "busy"
    """The provider got as many calls in this minute as it may."""


_OF_NO_ROOM: Final = {
    NoRoomWhy.TOKENS: TrialDecision.BUDGET,
    NoRoomWhy.MONEY: TrialDecision.BUDGET,
    NoRoomWhy.RESTING: TrialDecision.RESTING,
    NoRoomWhy.PACE: TrialDecision.BUSY,
}


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial. ``proposal`` is ``None`` without an answer."""

    decision: TrialDecision
    why: str
    prompt: tuple[PromptMessage, ...]
    proposal: Proposal | None
    cost_microfen: int
    ms: int


@dataclass(slots=True)
class _Costs:
    """What the calls of one trial cost so far."""

    microfen: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the trial has taken."""
        return time.monotonic() - self.began


class Trials:
    """Asks the models of all accounts for their owners."""

    def __init__(
        self,
        database: Database,
        providers: ProviderStore,
        calls: ModelCalls,
        *,
        seconds: float = CALL_SECONDS,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """``seconds``: how long a trial takes at most."""
        self._database = database
        self._providers = providers
        self._calls = calls
        self._seconds = seconds
        self._now_ms = now_ms

    async def target_of(self, account: Account, provider_id: int) -> Target:
        """Return a provider of the account's owner. Raise ``Conflict`` (``no_provider``, ``no_consent``)."""
        try:
            return await self._providers.target(account.owner_id, provider_id)
        except UnknownProvider:
            raise Conflict("the shop names no provider", code="no_provider") from None

    async def run(self, account: Account, context: Context, item_id: str | None) -> Trial:
        """Ask an account's model, also while it is off. Raise like ``target_of``, and ``StoreError``.

        Who leaves while it is asked leaves what was reserved spent.
        """
        target, costs = await self.target_of(account, account.ai_provider_id), _Costs()
        last_answer = next((turn.text for turn in reversed(context.turns) if not turn.is_buyer), "")
        left = account.ai_turns_per_chat
        facts = rail_facts_of(account, context, item_id=item_id, turns_left=left, last_answer=last_answer)

        async def call(prompt: list[PromptMessage]) -> Answered:
            return await self._called(account, target, context, prompt, costs)

        proposal, decision, why = None, TrialDecision.FAILED, ""
        try:
            proposal = await ask_model(call, context, facts, owner_id=account.owner_id)
        except NoRoom as no_room:
            decision, why = _OF_NO_ROOM.get(no_room.why, TrialDecision.FAILED), no_room.why.value
        except ModelFailed as failure:
            why = failure.why.value
        else:
            why = proposal.why
            if proposal.kind is not ProposalKind.UNREADABLE:
                decision = TrialDecision(proposal.kind.value)
        return Trial(
            decision=decision,
            why=why,
            prompt=tuple(messages_of(context)),
            proposal=proposal,
            cost_microfen=costs.microfen,
            ms=round(costs.seconds * 1000),
        )

    async def _called(
        self, account: Account, target: Target, context: Context, prompt: list[PromptMessage], costs: _Costs
    ) -> Answered:
        """Reserve a call, make it, and settle what it used. Raise ``NoRoom`` and ``ModelFailed``."""
        reservation = await self._reserved(account, target, prompt)
        try:
            async with asyncio.timeout(self._seconds - costs.seconds):
                answer = await self._calls.ask(target, prompt, MOST_TOKENS_OUT, context=context)
        except (ModelFailed, TimeoutError) as error:
            failure = error if isinstance(error, ModelFailed) else ModelFailed(WhyFailed.TIMEOUT)
            now = self._now_ms()
            costs.microfen += await self._database.write(
                lambda connection: settle_failure(connection, reservation, failure, now_ms=now)
            )
            raise failure from None
        now = self._now_ms()
        costs.microfen += await self._database.write(
            lambda connection: settle(connection, reservation, answer.tokens_in, answer.tokens_out, now_ms=now)
        )
        return answer

    async def _reserved(self, account: Account, target: Target, prompt: list[PromptMessage]) -> Reservation:
        now, tokens_in = self._now_ms(), estimated_tokens(prompt)
        spending = Spending(account.id, target.provider, day_of(account.timezone, now))

        def job(connection: Connection) -> Reservation | NoRoom:
            try:
                return reserve(connection, spending, tokens_in, MOST_TOKENS_OUT, account.ai_tokens_per_day, now_ms=now)
            except NoRoom as no_room:  # its incident is stored
                return no_room

        reserved = await self._database.write(job)
        if isinstance(reserved, NoRoom):
            raise reserved
        return reserved
