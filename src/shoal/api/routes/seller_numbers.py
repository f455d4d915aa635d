"""Seller numbers that several accounts name: who holds them, who waits, and taking a number from its holder."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from shoal.accounts.account import MAX_ID_CHARACTERS, Account, AccountState
from shoal.accounts.change_path import Caller
from shoal.api.http.caller import Administrator, Origin, TheServer, actor_of
from shoal.api.http.openapi_errors import ACTING, ASKING
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent

routes = Routes(tags=["system"])

Number = Annotated[
    str,
    Path(description="The seller's number (`unb`).", pattern="^[0-9]{1,32}$", examples=["2200000000001"]),
]
Holder = Annotated[
    str,
    Query(
        description="The account that should hold the number; if another holds it, the answer is 409 `other_holder`.",
        max_length=MAX_ID_CHARACTERS,
        examples=["my-shop"],
    ),
]
_HOLDER = {"account": "my-shop", "owner": "ann", "state": "stopped"}
_WAITING = {"account": "2200000000001", "owner": "bob", "state": "parked"}


class NumberShop(BaseModel):
    """An account that names the number, and its owner."""

    account: str
    owner: str
    state: AccountState


class NumberShape(BaseModel):
    """One seller's number. ``holder`` is the account that may connect; ``null``: the next that the site accepts."""

    model_config = example(number="2200000000001", holder=_HOLDER, waiting=[_WAITING])
    number: str
    holder: NumberShop | None
    waiting: list[NumberShop] = Field(description="The other accounts whose cookie has this number.")


class NumberList(BaseModel):
    """The numbers that several accounts name."""

    model_config = example(items=[{"number": "2200000000001", "holder": _HOLDER, "waiting": [_WAITING]}], next=None)
    items: list[NumberShape]
    next: str | None = None


class NumberFreed(BaseModel):
    """No account holds the number now. ``was``: the account that held it; it is now disabled."""

    model_config = example(msg="freed", number="2200000000001", was="my-shop")
    msg: str = "freed"
    number: str
    was: str


@routes.get("/seller-numbers", summary="List seller numbers of several accounts", responses=ASKING)
async def get_seller_numbers(server: TheServer, _: Administrator) -> NumberList:
    """List the seller numbers in the cookies of several accounts, and the holder of each. For administrators.

    The account that the site accepted first holds the number, and only that account connects.
    """
    names = {user.id: user.username for user in await server.users.list_users()}
    counted = Counter(account.unb for account in server.manager.accounts.values())
    await server.manager.look_at_numbers()
    await server.manager.look([one.id for one in server.manager.accounts.values() if counted[one.unb] > 1])
    return NumberList(items=[_shape(server, number, names) for number, count in sorted(counted.items()) if count > 1])


@routes.delete("/seller-numbers/{number}", summary="Free a seller number", responses=ACTING)
async def free_seller_number(
    number: Number, server: TheServer, me: Administrator, origin: Origin, holder: Holder = ""
) -> NumberFreed:
    """Take the number from the account that holds it, and disable that account. For administrators.

    The other accounts with that number start by themselves; the first that the site accepts becomes the holder. Repeat
    the request after a 503.
    """
    owner = next((one.owner_id for one in server.manager.accounts_of_number(number) if _holds(server, one)), None)
    was = await server.manager.free_number(number, holder=holder, caller=Caller(actor=actor_of(me), origin=origin))
    await server.audit_log.record(
        AuditEvent.NUMBER_FREED, actor=actor_of(me), user_id=owner, origin=origin, account=was, number=number
    )
    return NumberFreed(number=number, was=was)


def _holds(server: Server, account: Account) -> bool:
    return server.manager.number_holders.get(account.unb) == account.id


def _shape(server: Server, number: str, names: dict[int, str]) -> NumberShape:
    shops = server.manager.accounts_of_number(number)
    holder = next((one for one in shops if _holds(server, one)), None)
    return NumberShape(
        number=number,
        holder=None if holder is None else _shop(server, holder, names),
        waiting=[_shop(server, one, names) for one in shops if one is not holder],
    )


def _shop(server: Server, account: Account, names: dict[int, str]) -> NumberShop:
    state = server.manager.observation(account.id).state
    return NumberShop(account=account.id, owner=names.get(account.owner_id, ""), state=state)
