"""Delivery rules as JSON, sent and shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shoal.accounts.account import Account
from shoal.accounts.delivery_edits import MAX_DELIVERY_RULES
from shoal.accounts.delivery_rule import Confirm, DeliveryRule
from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, example

DELIVERY_EXAMPLE: dict[str, Any] = {
    "item_id": "700000000001", "title_contains": "", "spec": "时长:月卡", "goods_id": None, "count": 1,
    "parts": [{"text": "感谢购买！下载地址：https://example.com/ebook"}], "nothing_to_send": False, "delay_seconds": 0,
    "confirm": "yes",
}  # fmt: skip


class ConfirmLater(BaseModel):
    """The shipment is confirmed so many hours after everything was sent."""

    model_config = body_example(after_hours=2)
    after_hours: int


class DeliveryPartBody(BaseModel):
    """One message: a text or a picture."""

    model_config = body_example(text="感谢购买！")
    text: Text = ""
    image_url: Text = ""


class DeliveryRuleBody(BaseModel):
    """One rule: which orders, and what their buyers get. Fields that are left out have the value of a new rule.

    Either ``item_id`` or ``title_contains``; without both it is for every item of the shop. ``spec`` is `name:value`,
    several joined by `;` in any order; empty means the whole item. Without ``goods_id`` the parts are all that is
    sent; with it each piece takes ``count`` units, which `{codes}` in the parts stands for. A rule without goods and
    parts sends nothing. ``confirm``: `yes`, `no`, after some hours, or null: as the shop's switch says.
    """

    model_config = body_example(**DELIVERY_EXAMPLE)
    item_id: Text = ""
    title_contains: Text = ""
    spec: Text = ""
    goods_id: int | None = None
    count: int = 1
    parts: list[DeliveryPartBody] = []
    nothing_to_send: bool = False
    delay_seconds: int = 0
    confirm: Literal["yes", "no"] | ConfirmLater | None = None


class DeliveriesBody(BaseModel):
    """Delivery rules."""

    model_config = body_example(rules=[DELIVERY_EXAMPLE])
    rules: list[DeliveryRuleBody] = Field(max_length=MAX_DELIVERY_RULES)


class DeliveryRuleShape(BaseModel):
    """One rule, in the form in which it can be sent again. ``spec`` is in its form for comparison."""

    model_config = example(**DELIVERY_EXAMPLE)
    item_id: str
    title_contains: str
    spec: str
    goods_id: int | None
    count: int
    parts: list[dict[str, str]]
    nothing_to_send: bool
    delay_seconds: int
    confirm: Literal["yes", "no"] | ConfirmLater | None


class DeliveryList(BaseModel):
    """The delivery rules of an account: those of items, then of titles, then of the whole shop."""

    model_config = example(rules=[DELIVERY_EXAMPLE], generation=7)
    rules: list[DeliveryRuleShape]
    generation: int


class DeliveriesReplaced(ChangeFacts):
    """The rules after the change, and how many were added, removed and edited. ``dry_run``: nothing was changed."""

    model_config = example(
        dry_run=False, added=1, removed=0, edited=0, unchanged=0, rules=[DELIVERY_EXAMPLE], **CHANGE_EXAMPLE
    )
    dry_run: bool
    added: int
    removed: int
    edited: int
    unchanged: int
    rules: list[DeliveryRuleShape]


def delivery_values(body: DeliveryRuleBody) -> dict[str, Any]:
    """Return the fields that were sent, in the form that ``delivery_edits`` takes."""
    values = body.model_dump(include=body.model_fields_set)
    if "parts" in values:
        values["parts"] = [{name: text for name, text in part.items() if text} for part in values["parts"]]
    if isinstance(body.confirm, ConfirmLater):
        values["confirm"] = body.confirm.after_hours
    return values


def delivery_shape(rule: DeliveryRule) -> DeliveryRuleShape:
    """Return one rule as JSON."""
    return filled(
        DeliveryRuleShape,
        rule,
        parts=[{"image_url": part.image_url} if part.image_url else {"text": part.text} for part in rule.parts],
        confirm=_confirm_shape(rule.confirm),
    )


def delivery_list(account: Account) -> DeliveryList:
    """Return the rules of an account."""
    return DeliveryList(rules=[delivery_shape(rule) for rule in account.deliveries], generation=account.generation)


def _confirm_shape(confirm: Confirm) -> Literal["yes", "no"] | ConfirmLater | None:
    return ConfirmLater(after_hours=confirm) if isinstance(confirm, int) else confirm
