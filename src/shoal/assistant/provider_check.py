"""The check of a provider: one small call that a person asks for, and what came back.

Its cost is in the provider's money of the day, and in no shop's.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection

from shoal.assistant.breaker import note_success
from shoal.assistant.budget import NoRoom, pace, settle_check
from shoal.assistant.model_calls import ModelCalls, ModelFailed, estimated_tokens
from shoal.assistant.model_output import BadOutput, read_output
from shoal.assistant.prompt import Context, Fact, messages_of
from shoal.assistant.providers import Target
from shoal.clock import now_ms
from shoal.storage.database import Database

MOST_TOKENS: Final = 200
LONGEST_SHOWN: Final = 500
QUESTION: Final = Context(
    question="请问包邮吗？", facts=(Fact("包邮吗", "全国包邮"),), item_title="二手书", item_price_fen=1_500
)
"""Invented: nothing of a shop or a buyer goes out with a check."""
HIDDEN: Final = "***"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. ``why`` is empty when the answer is one that could be used; ``unreadable`` when it is not the
    JSON that was asked for; otherwise why there is none."""

    text: str = ""
    why: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microfen: int = 0
    ms: int = 0


async def check_provider(database: Database, calls: ModelCalls, target: Target) -> Checked:
    """Ask a provider an invented question. An answer ends its rest; a failure is no failure of the breaker.

    Raises ``StoreError``; ``Conflict`` (``no_consent``) before anything leaves.
    """
    provider, prompt = target.provider, messages_of(QUESTION)
    most = estimated_tokens(prompt), MOST_TOKENS
    try:
        made = await database.write(lambda connection: pace(connection, provider.id, *most, now_ms=now_ms()))
    except NoRoom as none:
        return Checked(why=none.why.value)
    try:
        answer = await calls.ask(target, prompt, MOST_TOKENS, context=QUESTION)
    except ModelFailed as failed:
        if failed.spent_nothing:
            await database.write(lambda connection: settle_check(connection, made, 0, 0))
        return Checked(why=f"{failed.why.value} {failed.status or ''}".strip())
    why = ""
    try:
        read_output(answer.text)
    except BadOutput:
        why = "unreadable"

    def settled(connection: Connection) -> int:
        if not why:
            note_success(connection, provider.id, now_ms=now_ms())
        return settle_check(connection, made, answer.tokens_in, answer.tokens_out)

    cost = await database.write(settled)
    text = answer.text.replace(target.key, HIDDEN) if target.key else answer.text
    return Checked(
        text=text[:LONGEST_SHOWN],
        why=why,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        cost_microfen=cost,
        ms=answer.ms,
    )
