"""An account whose answer to "在吗" is a given text, by each way out."""

from __future__ import annotations

from typing import Any

from filter_texts import FLOOR_FEN, PATTERN
from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.messages.replies import AnswerSource
from shoal.rules.rule import Part, Rule
from store_steps import an_account

FILTER: dict[str, Any] = {
    "filter_contacts": True, "filter_links": True, "filter_patterns": PATTERN, "price_floor_fen": FLOOR_FEN,
}  # fmt: skip
ALWAYS_CLOSED = "2000-01-01/2999-12-31"


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
