"""The port to a language model: what a connection asks of it, and what comes of a question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.storage.database import Database


class RunState(StrEnum):
    """What became of a run, which is one question to a model."""

    ASKED = "asked"
    """The model has not answered yet, or its text is not queued yet."""
    ANSWERED = "answered"
    """Its text was queued for the buyer."""
    DRAFTED = "drafted"
    """Its text waits for a person."""
    BLOCKED = "blocked"
    """A rail held its text back."""
    HANDED_OFF = "handed_off"
    """The model handed the chat to a person."""
    SILENT = "silent"
    """The model found nothing to say."""
    FAILED = "failed"
    """There was no answer that could be used."""
    SUPERSEDED = "superseded"
    """The chat moved on before its text was sent."""
    DROPPED = "dropped"
    """A person dropped the draft."""


class NotAsked(StrEnum):
    """Why a model was not asked, besides the reasons of the budget: then the default reply answers."""

    NO_PROVIDER = "no_provider"
    NO_CONSENT = "no_consent"
    TURNS = "turns"
    """The chat had its answers of the model for 24 hours."""
    OWNER = "owner"
    """The owner speaks in the chat."""


class Superseded(StrEnum):
    """Why a run ended without its text being used."""

    BUYER_WROTE = "buyer_wrote"
    RULE = "rule"
    """A rule, or another kind of answer, applies by now."""
    TOO_OLD = "too_old"
    SWITCHED_OFF = "switched_off"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer asked in one go: the joined text of these messages, about an item or none."""

    chat_id: str
    buyer_id: str
    buyer_name: str
    text: str
    item_id: str | None
    message_ids: tuple[str, ...]
    guard: Callable[[Connection], object | None]
    """Says in a transaction whether the owner speaks in the chat: then no word of it goes anywhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTurn:
    """What came of a question. ``end`` is the state in which its run ends if nothing in the chat is in the way.

    ``run_id`` is 0 when no run is open: then the model has no say. ``text`` is what the buyer would get.
    """

    message_ids: tuple[str, ...]
    run_id: int = 0
    end: RunState = RunState.FAILED
    why: str = ""
    text: str = ""
    mode: str = ""

    def answers(self, message_ids: Sequence[str], mode: str) -> bool:
        """Return whether it was asked about exactly these messages, for that mode."""
        return self.message_ids == tuple(message_ids) and self.mode == mode


class ModelSource(Protocol):
    """Asks the models of all accounts. A run is stored before a call is made, and is open when ``ask`` returns it."""

    @property
    def database(self) -> Database:
        """Where runs are stored."""

    async def ask(self, account: Account, question: Question, moved_on: asyncio.Event) -> ModelTurn:
        """Ask, for a limited time, until ``moved_on`` is set: then the run ends ``superseded``.

        Raise ``StoreError`` when nothing can be stored; then nothing was asked.
        """
