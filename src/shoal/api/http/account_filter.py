"""The filter ``account`` of lists: one shop of the caller, or all of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from shoal.api.http.states_elsewhere import found_account
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission

NO_NUL = r"^[^\x00]*$"
"""A pattern of texts that a database can hold."""
_LONGEST = 64


def _account(
    account: Annotated[
        str | None,
        Query(max_length=_LONGEST, pattern=NO_NUL, description="Only for this account.", examples=["my-shop"]),
    ] = None,
    cid: Annotated[
        str | None,
        Query(max_length=_LONGEST, pattern=NO_NUL, deprecated=True, description="The earlier name of `account`."),
    ] = None,
) -> str | None:
    return cid if account is None else account


OfAccount = Annotated[str | None, Depends(_account)]


async def asked_for(server: Server, who: Principal, account_id: str | None) -> list[str]:
    """Return the ids of the caller's accounts, or the named one. Raise ``UnknownAccount``."""
    if account_id is None:
        return [account.id for account in server.authorization.accounts_of(who)]
    return [(await found_account(server, who, account_id, Permission.READ)).id]
