"""Runs as they begin and are noted: one row for each question, stored with what is reserved for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, update

from shoal.accounts.account import Account
from shoal.assistant.asking import Answered, Proposal
from shoal.assistant.budget import NoRoom, Reservation, Spending, reserve, settle, settle_failure
from shoal.assistant.known_chat import DAY_MS, answers_since
from shoal.assistant.model_calls import ModelFailed, estimated_tokens
from shoal.assistant.prompt import PromptMessage, prompt_hash
from shoal.language.storable_texts import storable
from shoal.logs.redaction import redact_text
from shoal.messages.model_source import NotAsked, Question, RunState
from shoal.storage.assistant_tables import ai_runs

MOST_TOKENS_OUT: Final = 600
"""The longest output that is asked for: a text within the rail ``length``, and the object around it."""
MOST_RAW: Final = 8_192
"""How many characters of a model's output are kept."""

Made = tuple[Reservation, Answered | ModelFailed]
"""A call that was made, with what was reserved for it."""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """How a question began: as an open run with what is reserved, or not at all (``why``)."""

    run_id: int = 0
    reservation: Reservation | None = None
    why: str = ""
    answers: int = 0
    """How many answers of the model the chat had within a day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """What a run begins with. ``calls``: whether its model is asked; else nothing is reserved."""

    account: Account
    question: Question
    spending: Spending
    prompt: list[PromptMessage] = field(repr=False)
    calls: bool = True

    def begin(self, connection: Connection, now_ms: int) -> Begun:
        """Store an open run and reserve its call, or a run that failed for want of room, in the caller's transaction.

        A chat that its owner speaks in gets none.
        """
        account, question = self.account, self.question
        if question.guard(connection) is not None:
            return Begun(why=NotAsked.OWNER)
        answers = answers_since(connection, account.id, question.chat_id, now_ms - DAY_MS)
        reservation, why = None, ""
        if answers >= account.ai_turns_per_chat:
            why = NotAsked.TURNS.value
        elif self.calls:
            try:
                reservation = self.reserve(connection, now_ms)
            except NoRoom as no_room:
                why = no_room.why.value
        row = self._row(now_ms)
        if why:
            row |= {"state": RunState.FAILED.value, "why": why, "decided_at_ms": now_ms}
        run_id = int(connection.execute(insert(ai_runs).values(**row)).inserted_primary_key[0])  # type: ignore[index]
        return Begun(run_id=0 if why else run_id, reservation=reservation, why=why, answers=answers)

    def reserve(self, connection: Connection, now_ms: int) -> Reservation:
        """Reserve one call. Raises ``NoRoom``."""
        tokens_in, most = estimated_tokens(self.prompt), self.account.ai_tokens_per_day
        return reserve(connection, self.spending, tokens_in, MOST_TOKENS_OUT, most, now_ms=now_ms)

    def _row(self, now_ms: int) -> dict[str, object]:
        question, provider = self.question, self.spending.provider
        return {
            "account_id": self.account.id,
            "chat_id": question.chat_id,
            "buyer_id": question.buyer_id,
            "message_ids": json.dumps(question.message_ids),
            "item_id": question.item_id or "",
            "provider_id": provider.id,
            "model": provider.model,
            "prompt_hash": prompt_hash(self.prompt),
            "mode": self.account.ai_mode,
            "state": RunState.ASKED.value,
            "created_at_ms": now_ms,
        }


def note(
    connection: Connection, run_id: int, made: Sequence[Made], proposal: Proposal | None, ms: int, now_ms: int
) -> None:
    """Note the output and its cost; the run stays open until the messages are decided."""
    cost = sum(_settled(connection, reservation, outcome, now_ms) for reservation, outcome in made)
    answers = [outcome for _, outcome in made if not isinstance(outcome, ModelFailed)]
    values: dict[str, object] = {
        "cost_microfen": cost,
        "tokens_in": sum(answer.tokens_in for answer in answers),
        "tokens_out": sum(answer.tokens_out for answer in answers),
        "duration_ms": ms,
    }
    if proposal is not None:
        failed, output = proposal.failed, proposal.output
        values |= {
            "rail": failed.rail.value if failed is not None else "",
            "offered_fen": output.offered_fen if output is not None else None,
            "text": redact_text(output.text) if output is not None else "",
            "raw": storable(redact_text(proposal.raw)[:MOST_RAW]),
        }
    connection.execute(update(ai_runs).where(ai_runs.c.id == run_id).values(**values))


def _settled(connection: Connection, reservation: Reservation, outcome: Answered | ModelFailed, now_ms: int) -> int:
    if isinstance(outcome, ModelFailed):
        return settle_failure(connection, reservation, outcome, now_ms=now_ms)
    return settle(connection, reservation, outcome.tokens_in, outcome.tokens_out, now_ms=now_ms)
