"""``KeptDocument``: the OpenAPI document and its page, made once and kept as the bytes that are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from shoal.concurrency.single_flight import SingleFlight


class Shown(msgspec.Struct, frozen=True):
    """What is sent of the document."""

    document: bytes
    page: bytes


class KeptDocument:
    """Makes what is shown at the first request for it. All who ask meanwhile share that."""

    def __init__(self, app: FastAPI, draw: Callable[[Mapping[str, Any]], str]) -> None:
        """``draw`` makes the page."""
        self._app = app
        self._draw = draw
        self._making = SingleFlight(self._made, name="OpenAPI document")
        self._shown: Shown | None = None

    async def shown(self) -> Shown:
        """Return what is sent. A thread makes it: that takes a second or two, for which shops wait."""
        if self._shown is None:
            self._shown = await self._making.result()
        return self._shown

    async def _made(self) -> Shown:
        return await asyncio.to_thread(self._make)

    def _make(self) -> Shown:
        document = self._app.openapi()
        shown = Shown(msgspec.json.encode(document), self._draw(document).encode())
        self._app.openapi_schema = None  # tens of thousands of objects, of which only these bytes are needed
        return shown
