"""Signed HTTP calls to the site (docs/protocol.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from shoal.errors import ShoalError, TemporaryFailure

DEFAULT_BASE_URL = "https://h5api.m.goofish.com"


class CookieSource(Protocol):
    """Where a client reads its cookie from and reports what the site changed in it."""

    def header(self) -> str:
        """Return the cookie as one header line."""
        ...

    async def rotated(self, updates: dict[str, str]) -> None:
        """Take over cookies that the site has set; an empty value deletes. ``header()`` shows them afterwards."""
        ...


class MtopRefused(ShoalError):
    """The site refused a call for a reason of its own; the same call would be refused again."""

    code = "site_refused"


class OutcomeUncertain(TemporaryFailure):
    """An irreversible call broke off when it may have reached the site: ask before doing it again."""

    code = "outcome_uncertain"


@dataclass(frozen=True, slots=True)
class ImToken:
    """A token for ``/reg``, bound to the device id it was asked for."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lifetime_seconds: float


class MtopClient:
    """One account's signed calls, over a session that all accounts share."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        cookies: CookieSource,
        *,
        user_agent: str,
        timeout_seconds: float = 20.0,
    ) -> None:
        raise NotImplementedError

    async def call(
        self,
        api: str,
        data_text: str,
        version: str = "1.0",
        extra_query: Mapping[str, str] | None = None,
        *,
        irreversible: bool = False,
    ) -> dict[str, object]:
        """Make one call and return its ``data`` object."""
        raise NotImplementedError

    async def im_token(self, device_id: str) -> ImToken:
        """Ask for a message socket token: the most risk-sensitive call, so keep the answer."""
        raise NotImplementedError

    async def login_user(self) -> dict[str, object]:
        """Ask who is logged in: a cheap check."""
        raise NotImplementedError

    async def item_detail(self, item_id: str) -> dict[str, object]:
        """Return an item's page."""
        raise NotImplementedError

    async def item_list(self, user_id: str, page: int = 1) -> dict[str, object]:
        """Return one page of a seller's items on sale."""
        raise NotImplementedError

    async def confirm_shipment(self, order_id: str) -> None:
        """Mark an order of virtual goods as shipped. Irreversible."""
        raise NotImplementedError

    async def free_shipping(self, order_id: str, item_id: str, buyer_id: str) -> None:
        """Complete a group-price order. Irreversible."""
        raise NotImplementedError
