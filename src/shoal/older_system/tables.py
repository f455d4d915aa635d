"""The tables of the older system's database as lists: what Shoal keeps of each, by the routes that list it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.json_bodies import large_answer
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.routes.default_replies import list_default_replies
from shoal.api.routes.item_replies import list_item_replies
from shoal.api.routes.keywords import keywords_with_types
from shoal.api.routes.orders import list_orders_compat
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import User
from shoal.errors import InvalidInput
from shoal.older_system.administration import list_old_accounts, list_old_users
from shoal.older_system.cards import list_cards
from shoal.older_system.delivery_rules import list_card_rules
from shoal.older_system.known_items import items_of_all
from shoal.older_system.notification_channels import list_message_notifications, list_notification_channels
from shoal.older_system.settings import list_system_settings

routes = Routes(tags=["users"])

MOST_ROWS: Final = 10_000
"""How many rows of a table are listed at most."""
NOT_KEPT: Final = frozenset(
    {
        "ai_reply_settings", "ai_conversations", "ai_item_cache", "captcha_codes", "default_reply_records",
        "email_verifications", "user_settings",
    }
)  # fmt: skip
"""Tables of what Shoal does not keep, or lists nowhere."""
_EXAMPLE: dict[str, Any] = {"cookie_id": "my-shop", "enabled": True}

Rows = Iterable[BaseModel | Mapping[str, Any]]


class TableRows(BaseModel):
    """What a list holds, as the rows of a table: 10,000 of them at most."""

    model_config = example(success=True, data=[_EXAMPLE], columns=list(_EXAMPLE), count=1)
    success: bool = True
    data: list[dict[str, Any]]
    columns: list[str]
    count: int


@routes.get(
    "/admin/data/{table_name}",
    summary="List rows (older system)",
    response_model=TableRows,
    responses=problems(401, 403, 410, 422, 503),
)
async def list_rows(
    table_name: Annotated[str, Path(description="A table of the older system.", examples=["cookie_status"])],
    server: TheServer,
    me: Administrator,
) -> Response:
    """Return what the routes of the older system list for the caller, by the name of its table.

    A table of what Shoal does not keep has no rows. Secrets and units are left out, as in these lists.
    """
    rows: Rows = ()
    if table_name in TABLES:
        rows = await TABLES[table_name](server, me)
    elif table_name not in NOT_KEPT:
        raise InvalidInput("no such table is shown", code="gone/tables")
    return await large_answer(lambda: _table(rows), large=True)


def _table(rows: Rows) -> TableRows:
    data = [dict(row) if isinstance(row, Mapping) else row.model_dump(mode="json") for row in islice(rows, MOST_ROWS)]
    return TableRows(data=data, columns=list(data[0]) if data else [], count=len(data))


async def _users(server: Server, me: User) -> Rows:
    return (await list_old_users(server, me)).users


async def _accounts(server: Server, me: User) -> Rows:
    return (await list_old_accounts(server, me)).cookies


async def _statuses(server: Server, me: User) -> Rows:
    return ({"cookie_id": account.id, "enabled": account.enabled} for account in _mine(server, me))


async def _keywords(server: Server, me: User) -> Rows:
    return (
        {"cookie_id": account.id, **row.model_dump(mode="json")}
        for account in _mine(server, me)
        for row in keywords_with_types(account)
    )


async def _default_replies(server: Server, me: User) -> Rows:
    found = await list_default_replies(server, Principal(user=me))
    return ({"cookie_id": cid, **reply.model_dump(mode="json")} for cid, reply in found.root.items())


async def _item_replies(server: Server, me: User) -> Rows:
    return (await list_item_replies(server, Principal(user=me))).items


async def _items(server: Server, me: User) -> Rows:
    return (await items_of_all(server, Principal(user=me)))()


async def _cards(server: Server, me: User) -> Rows:
    return await list_cards(server, Principal(user=me))


async def _card_rules(server: Server, me: User) -> Rows:
    return await list_card_rules(server, Principal(user=me))


async def _channels(server: Server, me: User) -> Rows:
    return await list_notification_channels(server, me)


async def _message_notifications(server: Server, me: User) -> Rows:
    found = await list_message_notifications(server, me)
    return ({"cookie_id": cid, **row.model_dump(mode="json")} for cid, rows in found.root.items() for row in rows)


async def _orders(server: Server, me: User) -> Rows:
    return (await list_orders_compat(server, Principal(user=me))).data


async def _settings(server: Server, me: User) -> Rows:
    settings = await list_system_settings(server, Principal(user=me))
    return ({"key": name, "value": value} for name, value in settings.items())


def _mine(server: Server, me: User) -> Sequence[Account]:
    return server.authorization.accounts_of(Principal(user=me))


TABLES: Final[Mapping[str, Callable[[Server, User], Awaitable[Rows]]]] = {
    "users": _users, "cookies": _accounts, "cookie_status": _statuses, "keywords": _keywords,
    "default_replies": _default_replies, "item_replay": _item_replies, "item_info": _items, "cards": _cards,
    "delivery_rules": _card_rules, "notification_channels": _channels,
    "message_notifications": _message_notifications, "orders": _orders, "system_settings": _settings,
}  # fmt: skip
"""What lists the rows of each table."""
