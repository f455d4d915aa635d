"""The site's lists of shops' items: read over a shop's connection, here or at the server that runs the shop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from shoal.accounts.account import Account
from shoal.accounts.ownership import shard_of
from shoal.api.server import Server
from shoal.cluster.node_calls import NodeCalls
from shoal.cluster.node_watch import read_owners
from shoal.errors import ShoalError

log = structlog.get_logger("shoal.calls")

ITEMS: Final = "items"
KEPT_ITEMS: Final = "kept_items"
_SHOPS_AT_ONCE: Final = 50
"""Of how many shops one call asks for the lists that are kept: each may have a thousand titles."""
_KEPT_SECONDS: Final = 3.0
_LATER_SECONDS: Final = 2.0
"""How much longer than the wait for the site a call may take."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a shop's items on sale, by their ids: titles, and prices in fen."""

    titles: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, int] = field(default_factory=dict)


_NOTHING: Final = Listed()


async def items_of(server: Server, account: Account) -> Listed | None:
    """Return the items on sale, asked of the site at most once a minute; ``None`` when the shop is not connected.

    Raise like ``ItemLists.of``; of several servers also ``OwnerAway``, ``AnswerLost`` and ``RefusedThere``.
    """
    calls = _asks_others(server, account)
    if calls is None:
        return await _here(server, account)
    return _listed(await calls.ask(account.id, ITEMS, {"rev": account.rev}))


async def items_soon(server: Server, account: Account, *, seconds: float) -> Listed:
    """Return the items on sale, or those of the last list when they are not known after so many seconds.

    It never raises: empty when nothing is known.
    """
    calls = _asks_others(server, account)
    if calls is None:
        return await _soon_here(server, account, seconds)
    asked = {"rev": account.rev, "soon": seconds}
    try:
        return _listed(await calls.ask(account.id, ITEMS, asked, seconds=seconds + _LATER_SECONDS)) or _NOTHING
    except ShoalError as error:
        log.info("items of a shop not told", account=account.id, why=error.code)
        return _kept_here(server, account)


async def kept_items(server: Server, accounts: Sequence[Account]) -> dict[str, Listed]:
    """Return what the last lists of shops say, by the shops' ids. The site is not asked.

    Of a shop whose server does not answer, it is what this server knows itself.
    """
    found = {account.id: _kept_here(server, account) for account in accounts}
    calls = server.node_calls
    elsewhere = [] if calls is None else [account.id for account in accounts if not calls.is_mine(account.id)]
    if calls is None or not elsewhere:
        return found
    owners = await server.database.read(partial(read_owners, names=elsewhere))
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for name in elsewhere:
        if (node := owners.get(shard_of(name), calls.me[0])) != calls.me[0]:
            parts[node].append(name)
    for listed in await asyncio.gather(*(_kept_at(calls, node, names) for node, names in parts.items())):
        found |= listed
    return found


def _asks_others(server: Server, account: Account) -> NodeCalls | None:
    calls = server.node_calls
    return None if calls is None or calls.is_mine(account.id) else calls


async def _here(server: Server, account: Account) -> Listed | None:
    titles = await server.item_lists.of(account)
    return None if titles is None else Listed(titles, server.item_lists.prices(account))


async def _soon_here(server: Server, account: Account, seconds: float) -> Listed:
    titles = await server.item_lists.soon(account, seconds=seconds) or server.item_lists.kept(account)
    return Listed(titles, server.item_lists.prices(account))


def _kept_here(server: Server, account: Account) -> Listed:
    return Listed(server.item_lists.kept(account), server.item_lists.prices(account))


async def _kept_at(calls: NodeCalls, node: str, names: Sequence[str]) -> dict[str, Listed]:
    found: dict[str, Listed] = {}
    try:
        async with asyncio.timeout(_KEPT_SECONDS):
            for start in range(0, len(names), _SHOPS_AT_ONCE):
                asked = {"accounts": names[start : start + _SHOPS_AT_ONCE]}
                done = await calls.ask_node(node, KEPT_ITEMS, asked, seconds=_KEPT_SECONDS)
                found |= {name: Listed(**fields) for name, fields in done["items"].items()}
    except (ShoalError, TimeoutError) as error:
        log.info("items of a server not told", node=node, why=getattr(error, "code", "timeout"))
    return found


def _payload(listed: Listed) -> dict[str, Any]:
    return {"titles": dict(listed.titles), "prices": dict(listed.prices)}


def _listed(done: dict[str, Any]) -> Listed | None:
    return Listed(**done["listed"]) if done["listed"] is not None else None


async def answer_items(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Read a shop's list for another server; with ``soon``, within so many seconds. The question is never passed on."""
    seconds = asked.get("soon")
    if seconds is None:
        listed = await _here(server, account)
    else:
        listed = await _soon_here(server, account, float(seconds))
    return {"listed": None if listed is None else _payload(listed)}


async def answer_kept_items(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Return to another server what is kept of some shops."""
    names: Iterable[str] = asked["accounts"]
    accounts = [account for name in names if (account := server.manager.accounts.get(name)) is not None]
    kept = {account.id: _kept_here(server, account) for account in accounts}
    return {"items": {name: _payload(listed) for name, listed in kept.items() if listed.titles}}
