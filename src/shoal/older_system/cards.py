"""Cards, as scripts for the older system ask for them: views of goods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import File, Form, UploadFile

from shoal.accounts.change_path import Caller
from shoal.api.http.caller import AccountToChange, TheServer
from shoal.api.http.goods_caller import CallerOfShops, CardToChange, CardToRead, TheBy, WhoAddsGoods, WhoListsGoods
from shoal.api.http.openapi_errors import CHANGING, POSTING, READING, READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.request_texts import Text
from shoal.api.server import Server
from shoal.errors import Conflict, InvalidInput
from shoal.goods.api_cards import supplier_values
from shoal.goods.cards import KINDS, Card, CardType, type_of
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.stock_history import By
from shoal.goods.supplier_settings import require_supplier
from shoal.goods.suppliers import Supplier
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_states import UnitState
from shoal.older_system.card_bodies import (
    CardBody,
    CardDone,
    CardPictureSet,
    CardShape,
    EachPieceBody,
    EachSpecBody,
    Made,
    TypeShape,
    card_shape,
    shown_api,
)
from shoal.older_system.delivery_rules import remade, shops_with
from shoal.pictures.picture_formats import measure

routes = Routes(tags=["goods"])
_CREATED, _CHANGED, _DELETED = "卡券创建成功", "卡券更新成功", "卡券删除成功"


@routes.get("/cards", summary="List cards", responses={**READING, **problems(403)})
async def list_cards(server: TheServer, who: WhoListsGoods) -> list[CardShape]:
    """List the caller's goods as cards of the older system. Secrets and units are never shown."""
    kept = await server.goods.cards.of_owner(who.id)
    return [await _shape(server, one, kept.get(one.id, Card())) for one in await server.goods.store.list(who.id)]


@routes.post("/cards", summary="Add a card", responses=POSTING)
async def add_card(body: CardBody, server: TheServer, who: WhoAddsGoods, by: TheBy) -> Made:
    """Add goods for a card: `text` and `image` become fixed goods, `data` a stock, `api` goods of a supplier."""
    if body.type is None:
        raise InvalidInput("a card has a type", code="bad_card_type")
    card = _card(Card(), body)
    kind = CardType(body.type)
    values = {"name": body.name or "", "kind": KINDS[kind], **_content(kind, body), "active": body.enabled is not False}
    sent = None if body.api_config is None or kind is not CardType.API else supplier_values(body.api_config)
    sealed, _ = server.goods.suppliers.sealed(None, sent, who.id)
    goods = await server.goods.store.create(who.id, values, by, supplier=sealed)
    await server.goods.cards.keep(goods.id, card)
    await _take_in(server, goods, body, by)
    return Made(id=goods.id, message=_CREATED)


@routes.get("/cards/{card_id}", summary="Get a card", responses={**READING_ONE, **problems(403)})
async def get_card(goods: CardToRead, server: TheServer) -> CardShape:
    """Return goods as a card of the older system."""
    kept = await server.goods.cards.of_owner(goods.owner_id)
    return await _shape(server, goods, kept.get(goods.id, Card()))


@routes.put("/cards/{card_id}", summary="Change a card", responses=CHANGING)
async def change_card(
    body: CardBody, goods: CardToChange, server: TheServer, by: TheBy, caller: CallerOfShops
) -> CardDone:
    """Change what is sent. The type changes while the card never had a unit (else 409 `card_has_units`). Lines of
    `data_content` are added, none is taken away. An `api_config` that is sent back as it was shown stays. The delivery
    rules of the card follow what is named; the rest of them stays as it is.
    """
    await _change(server, goods, body, by, caller)
    return CardDone(message=_CHANGED)


@routes.put("/cards/{card_id}/image", summary="Set the picture of a card", responses=CHANGING)
async def set_card_picture(
    goods: CardToChange,
    server: TheServer,
    by: TheBy,
    caller: CallerOfShops,
    *,
    image: Annotated[UploadFile, File(description="A JPEG, PNG, WebP or GIF file.")],
    name: Annotated[Text, Form()],
    description: Annotated[Text | None, Form()] = None,
    delay_seconds: Annotated[int | None, Form()] = None,
    enabled: Annotated[bool | None, Form()] = None,
    is_multi_spec: Annotated[bool | None, Form()] = None,
    spec_name: Annotated[Text | None, Form()] = None,
    spec_value: Annotated[Text | None, Form()] = None,
    type: Annotated[TypeShape | None, Form()] = None,  # noqa: A002  the form's name
) -> CardPictureSet:
    """Store a picture and let a card send it. Fields that are left out stay. With the `type` image a card of another
    type becomes one, as by `PUT /cards/{card_id}`.
    """
    if goods.kind is not GoodsKind.FIXED and type != "image":
        raise InvalidInput("only a card with a text or a picture", code="bad_card_type")
    data = await image.read()
    measure(data)
    url = await server.pictures.keep(data)
    body = CardBody(
        name=name, type="image", image_url=url, text_content="", description=description, delay_seconds=delay_seconds,
        enabled=enabled, is_multi_spec=is_multi_spec, spec_name=spec_name, spec_value=spec_value,
    )  # fmt: skip
    await _change(server, goods, body, by, caller)
    return CardPictureSet(image_url=url)


@routes.delete("/cards/{card_id}", summary="Delete a card", responses=CHANGING)
async def delete_card(goods: CardToChange, server: TheServer, by: TheBy) -> CardDone:
    """Delete goods that no delivery rule names and that never had a unit. Others can be switched off: `enabled`."""
    shops = shops_with(server, goods)
    if shops:
        raise Conflict("a delivery rule names the goods", code="card_in_rules", shops=[one.id for one in shops][:10])
    await server.goods.store.delete(goods.id, by)
    return CardDone(message=_DELETED)


@routes.put(
    "/items/{cid}/{item_id}/multi-quantity-delivery", summary="Serve each piece of an order", responses=CHANGING
)
async def serve_each_piece(body: EachPieceBody, _: AccountToChange) -> CardDone:
    """Say that each piece of an order is served. It always is: the switch of the older system cannot be off."""
    if not body.multi_quantity_delivery:
        raise InvalidInput("each piece is served", code="each_piece_is_served")
    return CardDone(message="商品多数量发货状态已开启")


@routes.put("/items/{cid}/{item_id}/multi-spec", summary="Heed the spec of an order", responses=CHANGING)
async def match_each_spec(body: EachSpecBody, _: AccountToChange) -> CardDone:
    """Say that rules for a spec are heeded. They always are: the switch of the older system cannot be off."""
    if not body.is_multi_spec:
        raise InvalidInput("each spec is heeded", code="each_spec_is_heeded")
    return CardDone(message="商品多规格状态已开启")


async def _change(server: Server, goods: Goods, body: CardBody, by: By, caller: Caller) -> None:
    before = (await server.goods.cards.of_owner(goods.owner_id)).get(goods.id, Card())
    card, was = _card(before, body), type_of(goods)
    kind = was if body.type is None else CardType(body.type)
    values = {
        **({} if body.name is None else {"name": body.name}),
        **({} if body.enabled is None else {"active": body.enabled}),
        **(_content(kind, body) if kind is was else _new_content(kind, body)),
    }
    edit = None
    if body.api_config is not None and kind is CardType.API:
        known = None if kind is not was else require_supplier(await _supplier(server, goods))
        if known is None or body.api_config != shown_api(known):
            settings = supplier_values(body.api_config)
            edit = lambda sealed: server.goods.suppliers.sealed(sealed, settings, goods.owner_id)  # noqa: E731
    fresh = await server.goods.store.change(
        goods.id, values, by, supplier=edit, kind=None if kind is was else KINDS[kind]
    )
    await remade(server, (goods, before), (fresh, card), caller)
    await server.goods.cards.keep(goods.id, card)  # afterwards: the same request again follows what it says
    await _take_in(server, fresh, body, replace(by, op_id=f"{by.op_id}:units"))


def _card(before: Card, body: CardBody) -> Card:
    """Return what the card says after a change. Raises ``InvalidInput`` (``card_spec_missing``)."""
    sent: dict[str, Any] = {
        name: value
        for name in ("description", "delay_seconds", "spec_name", "spec_value")
        if (value := getattr(body, name)) is not None
    }
    if body.is_multi_spec is False:
        sent |= {"spec_name": "", "spec_value": ""}
    card = replace(before, **sent)
    if body.is_multi_spec and not (card.spec_name and card.spec_value):
        raise InvalidInput("a spec has a name and a value", code="card_spec_missing")
    return card


def _content(kind: CardType, body: CardBody) -> Mapping[str, Any]:
    """Return the content of fixed goods that is sent."""
    if kind not in {CardType.TEXT, CardType.IMAGE}:
        return {}
    sent = {"text": body.text_content, "image_url": body.image_url}
    return {name: value for name, value in sent.items() if value is not None}


def _new_content(kind: CardType, body: CardBody) -> Mapping[str, Any]:
    """Return the content of goods whose card becomes one of that type. Raises ``InvalidInput``."""
    if kind is CardType.IMAGE:
        if not body.image_url:
            raise InvalidInput("an image has a picture", code="card_picture_missing")
        return {"text": "", "image_url": body.image_url}
    return {"text": body.text_content or "", "image_url": ""} if kind is CardType.TEXT else {}


async def _take_in(server: Server, goods: Goods, body: CardBody, by: By) -> None:
    if body.data_content and goods.has_units:
        await server.goods.imports.run(goods, lines_of_list(body.data_content.splitlines()), by)


async def _shape(server: Server, goods: Goods, card: Card) -> CardShape:
    free = (await server.goods.store.counts([goods.id]))[goods.id][UnitState.FREE]
    supplier = await _supplier(server, goods) if goods.kind is GoodsKind.SUPPLIER else None
    return card_shape(goods, card, free=free, supplier=supplier)


async def _supplier(server: Server, goods: Goods) -> Supplier | None:
    return await server.database.read(lambda connection: server.goods.suppliers.read(connection, goods.id))
