"""The file of shops: what may stand in it. The JSON schema for editors is made from these models."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from shoal.accounts.account import MAX_DEBOUNCE_SECONDS, MAX_PAUSE_MINUTES, MAX_REPLIES
from shoal.accounts.delivery_edits import MAX_CONFIRM_HOURS, MAX_COUNT, MAX_DELIVERY_RULES
from shoal.accounts.edits import MAX_ADDRESS_CHARACTERS, MAX_NAME_CHARACTERS, MAX_REMARK_CHARACTERS
from shoal.accounts.model_settings import MAX_PERSONA_CHARACTERS, MAX_TOKENS_PER_DAY, MAX_TURNS
from shoal.language.storable_texts import UNSTORABLE
from shoal.rules.rule import MAX_REPLY_CHARACTERS, MAX_RULES

VERSION = 1


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("a text holds no NUL character")
    return text


Text = Annotated[str, AfterValidator(_storable)]
StaffWord = Literal["read", "reply", "operate"]


class _Part(BaseModel):
    """Values are texts as the YAML reader gives them; each field reads its own kind out of its text."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SpanPart(_Part):
    """Hours on weekdays (Monday is 1), in the time zone of the shop. An end not after the start is on the next day."""

    weekdays: list[int] = Field(default=[1, 2, 3, 4, 5, 6, 7], max_length=7)
    start: Text = "00:00"
    end: Text = "24:00"


class MessagePart(_Part):
    """One message: a text (with variables in braces), or the address of a picture."""

    text: Text = ""
    image_url: Text = ""


class RulePart(_Part):
    """One rule: words, and what is answered. Fields that are left out have the value of a new rule."""

    id: Text = Field(default="", description="Leave it out for a new rule.")
    words: list[Text] = Field(description="The keywords. One of them must be found, or all with `word_mode: all`.")
    word_mode: Literal["any", "all"] = "any"
    match_mode: Literal["contains", "exact", "whole_word", "regex"] = "contains"
    item_ids: list[Text] = Field(default=[], description="Only for these items; empty: for every item.")
    priority: int = Field(default=0, description="Higher ones are looked at first.")
    schedule: list[SpanPart] = Field(default=[], description="Only at these hours; empty: always.")
    parts: list[MessagePart] = Field(default=[], description="The messages. Without one, nothing is answered.")
    delay_seconds: list[FiniteFloat] = Field(
        default=[0.0, 0.0], min_length=2, max_length=2, description="Least and most seconds before the answer."
    )
    cooldown_seconds: int = Field(default=0, description="So long the same buyer gets no second answer.")
    active: bool = True


class DeliveryPart(_Part):
    """What the buyer of an item gets after paying. Fields that are left out have the value of a new rule."""

    item_id: Text = Field(default="", description="For this item; without it and `title_contains`: for every item.")
    title_contains: Text = ""
    spec: Text = Field(default="", description="`name:value`, several joined by `;`. Empty: whatever the spec is.")
    goods_id: int | None = None
    goods: Text = Field(default="", description="The name of the goods. It is enough if only one has that name.")
    count: int = Field(default=1, description=f"Units for each piece, 1 to {MAX_COUNT}.")
    parts: list[MessagePart] = Field(default=[], description="The messages. `{codes}` stands for the units.")
    nothing_to_send: bool = False
    delay_seconds: int = 0
    confirm: Literal["yes", "no"] | int | None = Field(
        default=None,
        description=f"Confirm the shipment: yes, no, or after 1 to {MAX_CONFIRM_HOURS} hours. Left out: as the shop's "
        "switch says.",
    )


class SettingsPart(_Part):
    """The settings of a shop. Those that are left out stay as they are."""

    name: Text = Field(default="", max_length=MAX_NAME_CHARACTERS)
    picture: Text = Field(default="", max_length=MAX_ADDRESS_CHARACTERS)
    remark: Text = Field(default="", max_length=MAX_REMARK_CHARACTERS)
    timezone: Text = Field(default="", description="Such as `Asia/Shanghai`, which is also the default.")
    replies: bool = Field(default=True, description="Answer messages automatically.")
    delivery: bool = Field(default=True, description="Handle orders automatically.")
    auto_confirm: bool = Field(default=False, description="Confirm shipments; only while `delivery` is on too.")
    free_shipping: bool = False
    pause_duration: int = Field(default=10, description=f"Minutes, 0 to {MAX_PAUSE_MINUTES}.")
    debounce_seconds: FiniteFloat | None = Field(
        default=None, description=f"0 to {MAX_DEBOUNCE_SECONDS:g}; null: the server's."
    )
    buyer_replies_per_hour: int | None = Field(default=None, description=f"0 to {MAX_REPLIES}; null: the server's.")
    shop_replies_per_minute: int | None = Field(default=None, description=f"0 to {MAX_REPLIES}; null: the server's.")
    default_reply_enabled: bool = False
    default_reply: Text = Field(default="", max_length=MAX_REPLY_CHARACTERS)
    default_reply_once: bool = False
    opening_hours: Text = Field(default="", description="Spans such as `1-5 09:00-18:00`, after semicolons.")
    holidays: Text = Field(default="", description="Days such as `2026-10-01` or `2026-10-01/2026-10-07`.")
    away_reply: Text = Field(default="", max_length=MAX_REPLY_CHARACTERS, description="Said while the shop is closed.")
    handoff_words: Text = Field(default="", description="With them a buyer asks for a person; one a line.")
    handoff_reply: Text = Field(default="", max_length=MAX_REPLY_CHARACTERS)
    filter_contacts: bool = Field(default=False, description="Hold back contact details.")
    filter_links: bool = Field(default=False, description="Hold back links to other places.")
    filter_patterns: Text = Field(default="", description="Hold back what they match; regular expressions, one a line.")
    price_floor_fen: int | None = Field(default=None, description="Hold back amounts below it; null: none.")
    ai_mode: str = Field(default="off", description="Whether a language model answers: `off`, `draft` or `auto`.")
    ai_persona: Text = Field(default="", max_length=MAX_PERSONA_CHARACTERS, description="How the model is to speak.")
    ai_facts: Text = Field(default="", description="What the model may say: a JSON list of `[question, answer]`.")
    ai_hours: Text = Field(default="", description="When the model answers, as `opening_hours`; empty: always.")
    ai_turns_per_chat: int = Field(default=6, description=f"Answers of the model in a chat in 24 h, 0 to {MAX_TURNS}.")
    ai_tokens_per_day: int = Field(default=100_000, description=f"0 to {MAX_TOKENS_PER_DAY}.")
    ai_disclosure: bool = Field(default=True, description="Buyers are told that a machine answers.")


class ShopPart(_Part):
    """One shop. What is left out stays as it is; ``rules`` and ``deliveries`` are whole lists."""

    enabled: bool = True
    settings: SettingsPart = Field(default_factory=SettingsPart)
    item_replies: dict[Text, Text] = Field(
        default={}, description="By item id. Others stay, unless `--prune` is given."
    )
    item_facts: dict[Text, Text] = Field(
        default={}, description="What the model may say of an item, by item id. Others stay, unless `--prune` is given."
    )
    item_floors: dict[Text, int | None] = Field(
        default={},
        description="The lowest price of an item in fen; null: the shop's. Others stay, unless `--prune` is given.",
    )
    rules: list[RulePart] = Field(
        default=[], max_length=MAX_RULES, description="All rules in their order. A rule that is not here is deleted."
    )
    deliveries: list[DeliveryPart] = Field(
        default=[], max_length=MAX_DELIVERY_RULES, description="All delivery rules. One that is not here is deleted."
    )
    staff: dict[Text, StaffWord] = Field(
        default={}, description="The users with whom it is shared. Others stay, unless `--prune` is given."
    )


class ShopFile(_Part):
    """Shops of a Shoal server as a file. It has no cookie, no proxy and no unit of any stock."""

    version: int = Field(default=VERSION, ge=1, le=VERSION, description="The version of this format.")
    accounts: dict[Text, ShopPart] = Field(description="By the id of the shop. None is created or deleted.")


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    made = ShopFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Shops of Shoal"}
