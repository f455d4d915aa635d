"""Runs of language models as JSON, and what a person may say to a draft."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, rfc3339
from shoal.assistant.run_rows import Run
from shoal.assistant.usage import DayUsage
from shoal.messages.model_source import RunState
from shoal.rules.rule import MAX_REPLY_CHARACTERS

_RUN: dict[str, Any] = {
    "id": 7, "account": "my-shop", "chat_id": "59000001", "buyer_id": "2200000000099", "message_ids": ["31.PNM"],
    "question": "今天能发货吗",
    "item_id": "700000000001", "item_title": "会员月卡", "provider_id": 1, "model": "small-1", "mode": "draft",
    "state": "drafted", "why": "", "rail": "", "called": True, "offered_fen": None, "tokens_in": 812, "tokens_out": 24,
    "cost_microfen": 86_000, "duration_ms": 640, "text": "在的，今天可以发货", "raw": "", "actor": "",
    "outbox_id": None, "at": "2026-01-02T03:04:05.640Z", "decided_at": None,
}  # fmt: skip


class RunShape(BaseModel):
    """One question to a model, and what became of it. ``text`` is what it proposed, or what was sent.

    ``called`` is false for a run that `failed` before its provider was called: ``why`` names the budget, the pace or
    the rest that did not allow it, and the default reply answered. ``why`` says what the state does not; ``rail`` names
    the check that held the text back. ``raw`` is what the model said; it is empty in lists. ``actor`` sent or dropped a
    draft. ``item_title`` is empty while it is not known. ``question`` is what the buyer wrote, empty once it is
    deleted. A million of ``cost_microfen`` are one fen.
    """

    model_config = example(**_RUN)
    id: int
    account: str
    chat_id: str
    buyer_id: str
    message_ids: list[str]
    question: str
    item_id: str
    item_title: str
    provider_id: int
    model: str
    mode: str
    state: RunState
    why: str
    rail: str
    called: bool
    offered_fen: int | None
    tokens_in: int
    tokens_out: int
    cost_microfen: int
    duration_ms: int
    text: str
    raw: str
    actor: str
    outbox_id: int | None
    at: str
    decided_at: str | None


class RunList(BaseModel):
    """Runs, newest first."""

    model_config = example(items=[_RUN], next=None)
    items: list[RunShape]
    next: str | None


class ApproveBody(BaseModel):
    """``text`` takes the place of the draft's. A text in which the output filter finds something is sent only with
    ``send_anyway``.
    """

    model_config = body_example(text="在的，今天可以发货", send_anyway=False)
    text: Annotated[Text, Field(min_length=1, max_length=MAX_REPLY_CHARACTERS, pattern=r"\S")] | None = None
    send_anyway: bool = False


class UsageRow(BaseModel):
    """What the models of one shop used on one day of the shop's time zone."""

    day: str
    account: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost_microfen: int


class UsageList(BaseModel):
    """Days with calls, the oldest first."""

    model_config = example(
        items=[
            {
                "day": "2026-01-02", "account": "my-shop", "calls": 12, "tokens_in": 9_700, "tokens_out": 288,
                "cost_microfen": 1_032_000,
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[UsageRow]
    next: str | None = None


def run_shape(run: Run, *, with_raw: bool = True) -> RunShape:
    """Return a run as JSON; lists leave what the model wrote out."""
    return filled(
        RunShape,
        run,
        account=run.account_id,
        message_ids=list(run.message_ids),
        raw=run.raw if with_raw else "",
        at=rfc3339(run.created_at_ms),
    )


def usage_row(used: DayUsage) -> UsageRow:
    """Return a day of a shop as JSON."""
    return filled(UsageRow, used, account=used.account_id)
