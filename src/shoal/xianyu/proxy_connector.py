"""Opens connections to the site through one proxy."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import aiohttp
import python_socks
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError, ProxyType

from shoal.network.outbound import Outbound, TargetRefused
from shoal.xianyu.proxy import Proxy
from shoal.xianyu.site_session import ProxyFailed

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_TYPES = {"http": ProxyType.HTTP, "socks5": ProxyType.SOCKS5}
_REFUSALS = {401, 403, 407}
_SOCKS_NOT_ALLOWED = 2
_SOCKS_NO_WAY = range(3, 7)


class OnlyThrough(ProxyConnector):
    """Opens every connection through one proxy."""

    def __init__(self, proxy: Proxy, connect_timeout_seconds: float, outbound: Outbound) -> None:
        super().__init__(
            proxy_type=_TYPES[proxy.scheme],
            host=proxy.host,
            port=proxy.port,
            username=proxy.username or None,
            password=proxy.password or None,
            rdns=True,
            limit=0,
        )
        self._seconds = connect_timeout_seconds
        self._outbound = outbound
        self._proxy = proxy

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Connect through the proxy.

        Raises ``ProxyFailed``, which contains no credentials, for every failure to connect.
        """
        sooner = min(self._seconds, timeout.sock_connect or self._seconds)
        limited = aiohttp.ClientTimeout(
            connect=timeout.connect, sock_connect=sooner, ceil_threshold=timeout.ceil_threshold
        )
        try:
            return await super().connect(req, traces, limited)
        except TargetRefused:
            raise ProxyFailed("proxy_not_allowed", "the proxy is in a private network that is not allowed") from None
        except ProxyTimeoutError:
            raise ProxyFailed("proxy_unreachable", "the proxy did not answer in time") from None
        except ProxyConnectionError:
            raise ProxyFailed("proxy_unreachable", "the proxy cannot be reached") from None
        except ProxyError as refusal:
            raise _failure(refusal.error_code) from None
        except ssl.SSLError:  # before ValueError: a certificate's error is also one
            raise ProxyFailed("proxy_untrusted", "what is behind the proxy cannot prove to be the site") from None
        except (EOFError, ConnectionError):
            raise ProxyFailed("proxy_refused", "the proxy hung up") from None
        except ValueError:
            raise ProxyFailed("proxy_refused", "the proxy's answer cannot be read") from None

    async def _connect_via_proxy(
        self, host: str, port: int, ssl: ssl.SSLContext | None = None, timeout: float | None = None
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """Resolve the proxy's name once, and connect only to the addresses that were found and are permitted."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._outbound.addresses(self._proxy.host, self._proxy.port)
        except TimeoutError:
            raise ProxyTimeoutError("the proxy's name was not found in time") from None
        except OSError:
            raise ProxyConnectionError("the proxy's name is not known") from None
        for address in addresses[:-1]:
            with contextlib.suppress(python_socks.ProxyConnectionError):
                return await self._connect_to(address, host, port, ssl, timeout)
        return await self._connect_to(addresses[-1], host, port, ssl, timeout)

    async def _connect_to(
        self, address: str, host: str, port: int, tls: ssl.SSLContext | None, timeout: float | None
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        self._proxy_host = address  # super() reads it before it first yields to the loop
        return await super()._connect_via_proxy(host, port, tls, timeout)


def _failure(error_code: int | None) -> ProxyFailed:
    if error_code in _REFUSALS or error_code == _SOCKS_NOT_ALLOWED:
        return ProxyFailed("proxy_refused", f"the proxy refuses ({error_code}); look at its user name and password")
    if error_code is not None and (error_code in _SOCKS_NO_WAY or error_code >= 500):
        return ProxyFailed("proxy_no_route", f"the proxy does not reach the site ({error_code})")
    return ProxyFailed("proxy_refused", f"the proxy refuses ({error_code or 'it gives no reason'})")
