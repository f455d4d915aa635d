"""The listening socket and the server behind it: one process, one loop, and a bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
import uvicorn
import uvloop

from shoal.api.hot import hot
from shoal.api.http.host_names import HostNames
from shoal.api.http.layer import Layer
from shoal.api.http.request_checks import RequestChecks
from shoal.api.http.request_limits import RequestLimits
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.network.addresses import is_loopback, parse_host_names, parse_networks, reachable_url
from shoal.network.connections import STATE_KEY, Connection, Connections, Limits, most_connections
from shoal.server.acceptor import Acceptor
from shoal.server.bound_socket import bind, unusable
from shoal.server.malloc_tuning import apart_while_starting, keep_large_blocks_apart
from shoal.server.request_head_limit import RequestHeadLimit
from shoal.server.service_manager import ServiceManager
from shoal.server.tls import Certificate
from shoal.server.worker import Worker

if TYPE_CHECKING:
    from shoal.server.reply_server import Application

log = structlog.get_logger("shoal.listener")

GRACE_SECONDS = 5
"""How long running requests and streams may continue after the signal."""
_BACKLOG = 2048
_NEVER = 10**6
_MAX_FRAME_BYTES = 4096
"""The longest message on a WebSocket: the console's page sends very little."""

Announce = Callable[["Application", str], None]


def usable_certificate(settings: Settings) -> Certificate | None:
    """Return the certificate to serve with, if any. Raises ``ConfigError`` when it cannot be used, and when passwords
    would cross an untrusted network in clear."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ConfigError("startup.tls_needs_both")
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
        certificate.context()
        return certificate
    proxies = parse_networks(settings.trusted_proxies)
    if is_loopback(settings.host) or settings.allow_plain_http or not all(one.is_loopback for one in proxies):
        return None
    raise ConfigError("startup.plain_passwords", host=settings.host)


SWITCH_SECONDS = 0.0005
"""How long a thread goes on while another waits for Python's lock; Python's own default is ten times as long.

The event loop and the writer wait for it several times in each change, while rules are checked on another thread.
"""
COLLECTED_OBJECTS = 10_000
"""After how many more objects than were freed the collector of cycles looks through them; Python's own default is 700.

64 requests at once are more than that, and nearly all of it is freed without the collector: it took an eighth of the
time of such requests.
"""


def serve(app: Application, settings: Settings, announce: Announce) -> None:
    """Serve until SIGINT or SIGTERM; ``announce`` is called once, when connections are accepted.

    Raises what the application's start raises, and ``ConfigError`` when the address or the certificate cannot be used.
    """
    certificate = usable_certificate(settings)
    with contextlib.closing(bind(settings.host, settings.port)) as taken:
        serve_at(taken, app, settings, certificate, announce)


def serve_at(
    taken: socket.socket,
    app: Application,
    settings: Settings,
    certificate: Certificate | None,
    announce: Announce,
    worker: Worker | None = None,
) -> None:
    """Serve at a bound socket. A ``worker`` also serves at its own, and ends with its parent."""
    keep_large_blocks_apart()
    gc.disable()  # until what is loaded is set apart
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, settings, certificate, taken, announce, worker))


async def _serve(
    app: Application,
    settings: Settings,
    certificate: Certificate | None,
    taken: socket.socket,
    announce: Announce,
    worker: Worker | None,
) -> None:
    host = settings.host
    url = reachable_url(host, taken.getsockname()[1], scheme="https" if certificate else "http")
    connections = Connections(_limits(settings), parse_networks(settings.trusted_proxies))
    config = uvicorn.Config(
        entry(app, settings, connections),
        http=RequestHeadLimit,
        ws="websockets-sansio",
        ws_max_size=_MAX_FRAME_BYTES,
        proxy_headers=False,  # the layer believes them
        access_log=False,  # the layer logs requests
        lifespan="off",  # entered here, so that its errors reach the caller
        log_config=None,
        log_level=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=_NEVER,  # ``Connections`` closes what is kept too long
    )
    context = certificate.context() if certificate else None
    manager = ServiceManager.named_in(os.environ, os.getpid())

    def listens() -> None:
        announce(app, url)
        manager.ready()
        if worker is not None:
            worker.ready()

    def ends() -> None:
        manager.stopping()
        app.state.server.events.end()

    server = _Server(config, connections, listens, ends)
    doors = {taken: context}
    if worker is not None:
        doors[worker.inner] = None if worker.plain else context
    end = _end_at_signals(server)
    if worker is not None:
        worker.listen(end=end, look=partial(_look_for_shards, app))
    if certificate is not None and context is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _read_again, certificate, context)
    _warn_of_doors(settings, is_encrypted=certificate is not None)
    try:
        async with app.router.lifespan_context(app), apart_while_starting(getattr(app.state, "starting", ())):
            try:
                await server.serve_while_sound(doors, _ends_of(app))
            except OSError as error:  # another process began to listen there while the database was opened
                raise unusable(host, taken.getsockname()[1], error) from None
            log.info("stopping")
    except asyncio.CancelledError:
        if not server.should_exit:
            raise
    finally:
        await manager.close()


def _ends_of(app: Application) -> Sequence[asyncio.Future[None]]:
    """Return what ends the server when one of it fails."""
    return (*getattr(app.state, "ends", ()), *getattr(app.state, "starting", ()))


def _limits(settings: Settings) -> Limits:
    return Limits(
        total=most_connections(settings.max_connections, allow_many_open_files()),
        per_address=settings.connections_per_address,
        silent_seconds=settings.client_silence_seconds,
    )


def _warn_of_doors(settings: Settings, *, is_encrypted: bool) -> None:
    _warn_of_closed_doors(settings)
    if not is_encrypted and not is_loopback(settings.host):
        log.warning("passwords may cross the network in clear", host=settings.host)
    if not own_names(settings) and (is_encrypted or _names_proxies(settings)):
        log.warning("browsers reach this server by its address only: name it", setting="SHOAL_ALLOWED_HOSTS")


def _warn_of_closed_doors(settings: Settings) -> None:
    """Log when other servers of the database will not reach this one. Workers have doors of their own for them."""
    if not settings.node or settings.workers:
        return
    address = urlsplit(settings.node_address).hostname
    if address is None:
        log.warning("other servers cannot ask this one", setting="SHOAL_NODE_ADDRESS")
    elif is_loopback(settings.host) and not is_loopback(address):
        log.warning("other machines do not reach this server, but by a proxy here", host=settings.host, address=address)


def _end_at_signals(server: _Server) -> Callable[[bool], None]:
    """End a server that has started at SIGINT or SIGTERM; at a second one without grace. Cancel one that starts.

    Return what ends it likewise; it is called with whether to end without grace.
    """
    starting = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end(at_once: bool) -> None:
        if server.started:
            server.force_exit = at_once
            server.should_exit = True
        elif starting and not server.should_exit:
            server.should_exit = True
            starting.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: end(server.should_exit))
    return end


def _look_for_shards(app: Application) -> None:
    opened = getattr(app.state, "server", None)
    if opened is not None:
        opened.nodes.look_now()


def entry(app: Application, settings: Settings, connections: Connections) -> Layer:
    """Return the application behind its one layer."""
    networks = parse_networks(settings.trusted_proxies)
    return Layer(
        app,
        hot,
        names=HostNames(allowed=own_names(settings), proxies=networks),
        limits=RequestLimits(connections),
        checks=RequestChecks(allow_plain_http=settings.allow_plain_http),
        proxies=networks,
        hsts=settings.tls_cert is not None,
    )


def own_names(settings: Settings) -> frozenset[str]:
    """Return the names under which the server may be reached, besides its addresses and ``localhost``.

    Those of its public URL, and by which the other nodes call it, are among them.
    """
    named = (urlsplit(url).hostname for url in (settings.public_url, settings.node_address))
    return parse_host_names(settings.allowed_hosts) | {name.rstrip(".") for name in named if name}


def _names_proxies(settings: Settings) -> bool:
    """Return whether the operator named reverse proxies."""
    return "trusted_proxies" in settings.model_fields_set and bool(parse_networks(settings.trusted_proxies))


def _read_again(certificate: Certificate, context: ssl.SSLContext) -> None:
    """Load a renewed certificate for later connections; an unusable one changes nothing."""
    try:
        certificate.load_into(context)
    except ConfigError as error:
        log.warning("the certificate was not read again", why=str(error))
    else:
        log.info("the certificate was read again")


class _Server(uvicorn.Server):
    """Leaves signals to us, reports when it listens and when it ends, before it waits for running requests."""

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        listens: Callable[[], None],
        ends: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._connections = connections
        connections.set_protocol_of(self.protocol_of)
        self._contexts: dict[socket.socket, ssl.SSLContext | None] = {}
        self._listens = listens
        self._ends = ends

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def protocol_of(self, connection: Connection) -> asyncio.Protocol:
        """The protocol of a connection; each request finds its connection in ``scope["state"]``."""
        return RequestHeadLimit(config=self.config, server_state=self.server_state, app_state={STATE_KEY: connection})

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen with our own acceptor, which counts connections and TLS handshakes from their beginning."""
        self.servers: list[Any] = [
            Acceptor(one, self._connections, self._contexts[one], backlog=_BACKLOG) for one in sockets or ()
        ]
        self.started = True
        self._listens()

    async def serve_while_sound(
        self, doors: dict[socket.socket, ssl.SSLContext | None], ends: Sequence[asyncio.Future[None]]
    ) -> None:
        """Serve at these sockets until a signal comes, or one of ``ends`` fails. Raises its failure."""
        self._contexts = doors

        def leave(end: asyncio.Future[None]) -> None:
            self.should_exit = self.should_exit or (not end.cancelled() and end.exception() is not None)

        for end in ends:
            end.add_done_callback(leave)
        await self.serve(list(doors))
        for end in ends:
            if end.done() and not end.cancelled():
                end.result()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ends()
        await super().shutdown(sockets)


_MACOS_MOST = 10_240
"""``OPEN_MAX`` of macOS, which refuses more although it reports an infinite hard limit."""


def allow_many_open_files() -> int:
    """Raise this process's own limit as far as the system allows without privileges. Return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_MOST):
        if _counted(wanted) > _counted(soft):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return _counted(wanted)
    return _counted(soft)


def _counted(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
