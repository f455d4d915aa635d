"""A link to PostgreSQL that can be cut so that neither end is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url


class DatabaseLink:
    """A TCP proxy before PostgreSQL. While it is dead, it takes what comes and passes nothing on.

    What a link that was lost took is never passed on, nor is anything that follows it; new connections are.
    """

    def __init__(self, url: str) -> None:
        self._socket = f"{make_url(url).query['host']}/.s.PGSQL.5432"
        self._name = make_url(url).database
        self._passes = asyncio.Event()
        self._passes.set()
        self.url = ""

    def die(self) -> None:
        self._passes.clear()

    def live(self) -> None:
        self._passes.set()

    def lose(self) -> None:
        """Die, with every connection there is."""
        self.die()
        self._passes = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[DatabaseLink]:
        pumps: set[asyncio.Task[None]] = set()

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
            with contextlib.suppress(OSError), contextlib.closing(writer):
                while data := await reader.read(65536):
                    await passes.wait()
                    writer.write(data)
                    await writer.drain()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            passes = self._passes
            await passes.wait()
            try:
                back, forth = await asyncio.open_unix_connection(self._socket)
            except OSError:  # the server is stopped
                writer.close()
                return
            pumps.update(asyncio.create_task(pump(*ends, passes)) for ends in ((reader, forth), (back, writer)))

        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{server.sockets[0].getsockname()[1]}/{self._name}"
        try:
            yield self
        finally:
            self.live()
            server.close()
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
