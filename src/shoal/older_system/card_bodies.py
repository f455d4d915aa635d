"""Cards and keyword rules as JSON, in the dialect of the system that sellers come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shoal.api.schemas.request_texts import Text
from shoal.api.schemas.responses import example, old_time
from shoal.goods.card_rules import CardRule
from shoal.goods.cards import Card, CardType, type_of
from shoal.goods.goods import Goods
from shoal.goods.suppliers import Supplier, shown_supplier

TypeShape = Literal["text", "data", "image", "api"]
_CARD: dict[str, Any] = {
    "id": 7, "name": "月卡", "type": "data", "api_config": None, "text_content": None, "data_content": "",
    "image_url": None, "description": "您的卡密：{DELIVERY_CONTENT}", "enabled": True, "delay_seconds": 0,
    "is_multi_spec": True, "spec_name": "时长", "spec_value": "月卡", "free": 95, "created_at": "2026-01-02 03:04:05",
    "updated_at": "2026-01-02 03:04:05",
}  # fmt: skip
_RULE: dict[str, Any] = {
    "id": 163511209731241, "keyword": "会员", "card_id": 7, "delivery_count": 1, "enabled": True, "description": "",
    "delivery_times": 0, "card_name": "月卡", "card_type": "data", "is_multi_spec": True, "spec_name": "时长",
    "spec_value": "月卡", "created_at": "2026-01-02 03:04:05", "updated_at": "2026-01-02 03:04:05",
}  # fmt: skip


def _body(**shown: Any) -> ConfigDict:
    """Return the configuration of a body to which old scripts may add fields."""
    return ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, json_schema_extra={"examples": [shown]})


class CardBody(BaseModel):
    """A card. ``data_content``: one unit on each line. ``api_config``: JSON with url, method, headers, params, timeout
    and, beyond the older system, ``code_path``. ``description``: the text around `{DELIVERY_CONTENT}`.
    """

    model_config = _body(name="月卡", type="data", data_content="AB12-0001\nAB12-0002", enabled=True, delay_seconds=0)
    name: Text | None = None
    type: TypeShape | None = None
    api_config: dict[str, Any] | Text | None = None
    text_content: Text | None = None
    data_content: Text | None = None
    image_url: Text | None = None
    description: Text | None = None
    enabled: bool | None = None
    delay_seconds: int | None = None
    is_multi_spec: bool | None = None
    spec_name: Text | None = None
    spec_value: Text | None = None


class CardShape(BaseModel):
    """A card. Units are never shown: ``data_content`` is empty, ``free`` says how many there are."""

    model_config = example(**_CARD)
    id: int
    name: str
    type: TypeShape
    api_config: dict[str, Any] | None
    text_content: str | None
    data_content: str | None
    image_url: str | None
    description: str
    enabled: bool
    delay_seconds: int
    is_multi_spec: bool
    spec_name: str
    spec_value: str
    free: int
    created_at: str
    updated_at: str


class CardRuleBody(BaseModel):
    """A rule: items whose title contains ``keyword`` get ``delivery_count`` units of the card for each piece."""

    model_config = _body(keyword="会员", card_id=7, delivery_count=1, enabled=True)
    keyword: Text
    card_id: int
    delivery_count: int = 1
    enabled: bool = True
    description: Text | None = None


class CardRuleShape(BaseModel):
    """A rule with what its card says. ``delivery_times`` is 0: orders are counted in the stock's history."""

    model_config = example(**_RULE)
    id: int
    keyword: str
    card_id: int
    delivery_count: int
    enabled: bool
    description: str
    delivery_times: int
    card_name: str
    card_type: TypeShape
    is_multi_spec: bool
    spec_name: str
    spec_value: str
    created_at: str
    updated_at: str


class Made(BaseModel):
    """It was added."""

    model_config = example(id=7, message="卡券创建成功")
    id: int
    message: str


class CardDone(BaseModel):
    """It was done."""

    model_config = example(message="卡券更新成功")
    message: str


class CardPictureSet(BaseModel):
    """The picture of a card was stored."""

    model_config = example(
        message="卡券更新成功", image_url="/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.png"
    )
    message: str = "卡券更新成功"
    image_url: str


class EachPieceBody(BaseModel):
    """Whether each piece of an order is served. It always is."""

    model_config = _body(multi_quantity_delivery=True)
    multi_quantity_delivery: bool = False


class EachSpecBody(BaseModel):
    """Whether delivery rules for a spec are heeded. They always are."""

    model_config = _body(is_multi_spec=True)
    is_multi_spec: bool = False


def card_shape(goods: Goods, card: Card, *, free: int, supplier: Supplier | None) -> CardShape:
    """Return a card as JSON."""
    kind = type_of(goods)
    return CardShape(
        id=goods.id,
        name=goods.name,
        type=kind.value,
        api_config=None if supplier is None else shown_api(supplier),
        text_content=goods.text if kind is CardType.TEXT else None,
        data_content="" if kind is CardType.DATA else None,
        image_url=goods.image_url if kind is CardType.IMAGE else None,
        description=card.description,
        enabled=goods.active,
        delay_seconds=card.delay_seconds,
        is_multi_spec=bool(card.spec_value),
        spec_name=card.spec_name,
        spec_value=card.spec_value,
        free=free,
        created_at=old_time(goods.created_at_ms),
        updated_at=old_time(goods.changed_at_ms),
    )


def card_rule_shape(rule: CardRule, goods: Goods, card: Card) -> CardRuleShape:
    """Return a rule as JSON."""
    return CardRuleShape(
        id=rule.id,
        keyword=rule.keyword,
        card_id=rule.goods_id,
        delivery_count=rule.count,
        enabled=rule.enabled,
        description="",
        delivery_times=0,
        card_name=goods.name,
        card_type=type_of(goods).value,
        is_multi_spec=bool(card.spec_value),
        spec_name=card.spec_name,
        spec_value=card.spec_value,
        created_at=old_time(goods.created_at_ms),
        updated_at=old_time(goods.changed_at_ms),
    )


def shown_api(supplier: Supplier) -> dict[str, Any]:
    """Return the configuration of a card's API without secrets."""
    shown = shown_supplier(supplier)
    return {
        "url": shown["url"],
        "method": shown["method"],
        "headers": shown["headers"],
        "params": shown["body"],
        "timeout": shown["timeout_seconds"],
        "code_path": shown["code_path"],
    }
