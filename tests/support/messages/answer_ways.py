"""An account whose answer to "在吗" is a given text, by each way out; and a model whose answer it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.assistant.asking import Proposal, ask_model
from shoal.assistant.prompt import Context, PromptMessage
from shoal.assistant.rail_facts import RailFacts
from shoal.messages.replies import AnswerSource
from shoal.rules.rule import Part, Rule
from support.databases.store_steps import an_account
from support.messages.filter_texts import FLOOR_FEN, PATTERN

FILTER: dict[str, Any] = {
    "filter_contacts": True, "filter_links": True, "filter_patterns": PATTERN, "price_floor_fen": FLOOR_FEN,
}  # fmt: skip
ALWAYS_CLOSED = "2000-01-01/2999-12-31"
WAYS = tuple(way for way in AnswerSource if way != "model")
"""The ways by which an account answers by itself. What a model says goes through ``said_by_model``."""


def account_by(way: AnswerSource, text: str) -> Account:
    """Return an account with the whole filter whose answer by that way is the text."""
    general = Rule(id="r", words=("在吗",), parts=(Part(text="好的"), Part(text=text)))
    of_item = Rule(id="r", words=("在吗",), parts=(Part(text=text),), item_ids=("1",))
    ways: dict[AnswerSource, dict[str, Any]] = {
        AnswerSource.GENERAL_RULE: {"keywords": (general,)},
        AnswerSource.ITEM_RULE: {"keywords": (of_item,)},
        AnswerSource.ITEM_REPLY: {"items": (ItemSetting(item_id="1", reply=text),)},
        AnswerSource.DEFAULT_REPLY: {"default_reply_enabled": True, "default_reply": text},
        AnswerSource.AWAY_REPLY: {"holidays": ALWAYS_CLOSED, "away_reply": text},
        AnswerSource.HANDOFF: {"handoff_words": "在吗", "handoff_reply": text},
    }
    return an_account(**FILTER, **ways[way])


@dataclass(frozen=True, slots=True)
class Said:
    """What a call to a provider gave."""

    text: str
    tokens_in: int = 1
    tokens_out: int = 1
    ms: int = 1


async def said_by_model(text: str) -> Proposal:
    """Return what becomes of a model's answer with that text in a shop with the whole filter and no other limit."""
    account = account_by(AnswerSource.DEFAULT_REPLY, "好的")

    async def call(_: list[PromptMessage]) -> Said:
        return Said(json.dumps({"action": "reply", "text": text, "offered_fen": None, "facts": []}))

    facts = RailFacts(
        output_filter=account.output_filter, buyer_text="在吗 hello", turns_left=1, floor_fen=0, price_fen=0,
        owner_words=(text,),
    )  # fmt: skip
    return await ask_model(call, Context(question="在吗"), facts, owner_id=1)
