"""The file of shops: what may stand in it. The JSON schema for editors is made from these models."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from shoal.accounts.delivery_edits import MAX_CONFIRM_HOURS, MAX_COUNT, MAX_DELIVERY_RULES
from shoal.accounts.setting_kinds import Way
from shoal.accounts.setting_models import takes
from shoal.accounts.shop_settings import declared_in
from shoal.language.storable_texts import UNSTORABLE
from shoal.rules.rule import MAX_RULES

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


@takes(declared_in(Way.FILE), Text, bounded=True)
class SettingsPart(_Part):
    """The settings of a shop. Those that are left out stay as they are."""


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
