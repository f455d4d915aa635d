"""Makes the calls to suppliers: guarded, without cookies, without redirects, and never twice by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import aiohttp
import structlog
from yarl import URL

from shoal.goods.suppliers import (
    MAX_ANSWER_BYTES,
    Answer,
    Meaning,
    Request,
    Supplier,
    Wanted,
    meaning_of_order,
    meaning_of_query,
    order_request,
    query_request,
)
from shoal.network.outbound import GuardedConnector, Outbound
from shoal.xianyu.site_session import Redirected, open_session

log = structlog.get_logger("shoal.suppliers")

CONNECT_SECONDS: Final = 10.0
Reader = Callable[[Supplier, int, bytes], Answer]


class SupplierCalls:
    """Asks suppliers over its own session. Nothing of the site is in it: no cookie, no header, no connection.

    Each call has its own connection: aiohttp repeats some calls by itself when a used connection turns out closed.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def order(self, supplier: Supplier, wanted: Wanted) -> Answer:
        """Order one unit."""
        return await self._call(supplier, order_request(supplier, wanted), meaning_of_order)

    async def query(self, supplier: Supplier, wanted: Wanted) -> Answer:
        """Ask what became of the order of a unit. ``UNREACHABLE`` and ``UNSURE`` both say that nothing is known."""
        return await self._call(supplier, query_request(supplier, wanted), meaning_of_query)

    async def _call(self, supplier: Supplier, request: Request, meaning_of: Reader) -> Answer:
        limit = float(supplier.timeout_seconds)
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=min(CONNECT_SECONDS, limit))
        try:
            async with self._opened().request(
                request.method,
                URL(request.url),
                headers=request.headers,
                data=request.body.encode() if request.body else None,
                timeout=timeout,
            ) as response:
                data = await _read(response)
                answer = meaning_of(supplier, response.status, data)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            answer = Answer(meaning=Meaning.UNREACHABLE, why=_why(error))
        except Redirected:
            answer = Answer(meaning=Meaning.UNSURE, why="redirect")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            answer = Answer(meaning=Meaning.UNSURE, why="timeout" if isinstance(error, TimeoutError) else "no_answer")
        log.info("supplier called", host=supplier.host, status=answer.status, meaning=answer.meaning, why=answer.why)
        return answer

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(GuardedConnector(self._outbound, force_close=True, limit=0))
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the answer up to the limit; a longer one holds no unit."""
    data = bytearray()
    while len(data) <= MAX_ANSWER_BYTES and (part := await response.content.read(MAX_ANSWER_BYTES)):
        data += part
    return b"" if len(data) > MAX_ANSWER_BYTES else bytes(data)


def _why(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "connect_timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unknown_host"
    return "certificate" if isinstance(error, aiohttp.ClientSSLError) else "no_connection"
