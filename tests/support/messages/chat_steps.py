"""Short words for tests of conversations over the real wire: a buyer asks, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shoal.messages.decisions import Decision
from shoal.messages.message_log import LoggedMessage
from shoal.messages.outbox_rows import Sending
from shoal.rules.rule_edits import with_rule
from support.site.sandboxed import Machine, Shoal
from support.site.standins import ANN

PAIR = [{"text": "一"}, {"text": "二"}]


async def give_rule(shoal: Shoal, rule_id: str = "r", **values: Any) -> None:
    """A rule for 在吗, with whatever else."""
    wanted: Mapping[str, Any] = {"words": ["在吗"], "parts": [{"text": "hi"}], **values}
    await shoal.manager.update_rules(
        "shop", lambda account: account.evolve(keywords=with_rule(account.keywords, rule_id, wanted)), caller=ANN
    )


async def ask(shoal: Shoal, unb: str, text: str = "在吗", *, buyer: str = "小鱼", **more: Any) -> str:
    """A buyer says something; returns its id."""
    said = await shoal.sandbox.do("say", account=unb, buyer=buyer, text=text, **more)
    return str(said["message_id"])


async def verdict(shoal: Shoal, message_id: str, wanted: Decision, *, seconds: float = 60.0) -> LoggedMessage:
    """The message once it has that verdict."""
    found: LoggedMessage | None = None
    try:
        async with asyncio.timeout(seconds):
            while found is None or found.message.decision is not wanted:
                listed = await shoal.log.list_messages(["shop"])
                found = next((entry for entry in listed if entry.message.message_id == message_id), None)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{found and found.message}") from None
    return found


async def stored(shoal: Shoal, message_id: str) -> LoggedMessage:
    """The message once it is stored."""
    async with asyncio.timeout(60):
        while True:
            for entry in await shoal.log.list_messages(["shop"]):
                if entry.message.message_id == message_id:
                    return entry
            await asyncio.sleep(0.02)


async def sendings(shoal: Shoal, *outcomes: str) -> list[Sending]:
    """The sendings, oldest first, once they have come to these outcomes."""
    found: list[Sending] = []
    try:
        async with asyncio.timeout(60):
            while [sending.outcome for sending in found] != list(outcomes):
                found = (await shoal.log.outbox.list_sendings(["shop"]))[::-1]
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError([(sending.outcome, sending.reason) for sending in found]) from None
    return found


async def reopen(shoal: Shoal, **settings: Any) -> None:
    """Restart the server."""
    await shoal.close()
    await shoal.open(**settings)
    await shoal.runs()


async def held_up(shoal: Shoal, count: int) -> None:
    """Wait until so many messages wait for room in the shop's minute."""
    async with asyncio.timeout(60):
        while True:
            found = [entry.message for entry in await shoal.log.list_messages(["shop"])]
            if len([one for one in found if one.decision is Decision.SHOP_LIMIT and not one.handled]) == count:
                return
            await asyncio.sleep(0.02)


async def pass_by(shoal: Shoal, machine: Machine, seconds: int) -> None:
    """Time passes for everybody."""
    machine.passed_ms += seconds * 1000
    await shoal.sandbox.do("clock", advance=seconds)
