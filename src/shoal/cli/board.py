"""The accounts of a server as a watching user sees them, kept current by the stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from shoal.cli.api_client import ApiClient, NoServer, Refused, in_order

LONGEST_PAUSE_SECONDS = 15.0
_STATE_FIELDS = ("state", "reason", "since", "next_attempt_at", "action_url", "action_text", "observed_generation")


class AccountBoard:
    """The accounts by id. ``trouble`` is why the board may be out of date; empty while the stream is open."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._accounts: dict[str, dict[str, Any]] = {}
        self._after: str | None = None
        self.trouble = ""

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """Every account in the form of ``GET /cookies/{cid}``, oldest first."""
        return in_order(list(self._accounts.values()))

    def get(self, account_id: str) -> dict[str, Any] | None:
        """Return one account, if it exists."""
        return self._accounts.get(account_id)

    async def follow(self) -> AsyncGenerator[dict[str, Any], None]:
        """Keep the board current until cancelled; yield each event after it was applied, ``{}`` when ``trouble``
        changed.

        Reopens and resumes a broken stream. Raises ``Refused`` when the session has ended.
        """
        pause = 0.5
        while True:
            try:
                async with aclosing(self._client.events(self._after)) as stream:
                    async for event in stream:
                        pause, self.trouble = 0.5, ""
                        await self._apply(event.body)
                        self._after = event.id or self._after
                        yield event.body
            except NoServer as error:
                self.trouble = str(error)
                yield {}
            except Refused as error:
                if error.status < 500:
                    raise
                self.trouble = str(error)
                yield {}
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _apply(self, body: dict[str, Any]) -> None:
        match body.get("type"):
            case "snapshot":
                self._accounts = {account["id"]: account for account in body["accounts"]}
            case "reset":
                self._after = None
            case "state" if body["account"] in self._accounts:
                self._accounts[body["account"]].update({name: body[name] for name in _STATE_FIELDS})
            case "state" | "change":
                await self._read(body["account"])
            case _:
                pass  # an event type of a newer server

    async def _read(self, account_id: str) -> None:
        try:
            self._accounts[account_id] = await self._client.ask("GET /cookies/{cid}", cid=account_id)
        except Refused as error:
            if error.status not in {403, 404}:
                raise
            self._accounts.pop(account_id, None)
