"""The client of the server's API: calls whose errors are sentences, and the stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from shoal import __version__
from shoal.cli.last_changes import LastChanges
from shoal.cli.words import is_chinese, words
from shoal.errors import ConfigError, ShoalError

CALL_SECONDS = 90.0
SILENCE_SECONDS = 45.0
"""The stream has a comment every 15 s; a longer silence means that the server is gone."""
BEHIND_PAUSES = (0.2, 0.5, 1.0)
"""How long to wait before a server that is behind is asked again; it waits a second itself."""
_LARGE_BODY = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=CALL_SECONDS * 4)
"""A large file takes long to send, and long to read at the other end."""


Query = Mapping[str, Any]
"""The query of a call; a list gives its name several times."""


class NoServer(ShoalError):
    """No server answers at the address, or what answers is not Shoal."""

    code = "no_server"


class Refused(ShoalError):
    """The server answered with an error; the message is its ``detail``."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail, code=code)
        self.status = status


class _Behind(Refused):
    """This server does not show yet what another one answered; nothing was done."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of the stream; ``id`` is the position from which to resume after it."""

    body: dict[str, Any]
    id: str | None = None


class ApiClient:
    """One server's API, as one user. Use it as a context manager."""

    def __init__(self, url: str, token: str | None = None, *, changes: LastChanges | None = None) -> None:
        """``changes``: which changes a request must see, when there are several servers."""
        self._changes = changes
        self.url = server_url(url)
        self.token = token
        self._http: aiohttp.ClientSession | None = None
        self.accounts: list[str] = []
        """The shops that the last call named."""

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers={"User-Agent": f"shoal/{__version__}", "Accept-Language": "zh" if is_chinese() else "en"},
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=10),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def sign_in(self, user: str, password: str, totp: str | None = None) -> str:
        """Sign in and return the token, which is used from now on.

        Raises ``Refused``: ``wrong_login``, ``totp_needed``, ``wrong_totp``, ``too_many_attempts``, ``plain_http``.
        """
        # a server that refuses passwords over plain HTTP reports it before one is sent
        if self.url.startswith("http://"):
            await self.ask("POST /login", body={})
        body = {"username": user, "password": password} | ({} if totp is None else {"totp": totp})
        answer = await self.ask("POST /login", body=body)
        if not answer.get("success"):
            code, detail = answer.get("code") or "wrong_login", str(answer.get("message", ""))
            if code == "wrong_login":
                detail = words("cli.client.wrong_login")
            raise Refused(401, code, detail)
        self.token = str(answer["token"])
        return self.token

    async def ask(
        self, operation: str, /, *, body: Any = None, query: Query | None = None, key: str | None = None, **path: str
    ) -> Any:
        """Call an operation, such as ``GET /cookies/{cid}``, and return its JSON. ``None`` in a query is left out.

        With a ``key`` it may be repeated: it is carried out once. Raises ``NoServer`` or ``Refused``.
        """
        self.accounts = _accounts_in(path, query or {}, body if isinstance(body, dict) else {})
        more = {"json": body, "headers": {} if key is None else {"Idempotency-Key": key}}
        for pause in BEHIND_PAUSES:
            with suppress(_Behind):
                return await self._json_of(operation, path, query, **more)
            await asyncio.sleep(pause)
        return await self._json_of(operation, path, query, **more)

    async def readiness(self) -> Any:
        """Return whether the server can store changes; a server that cannot answers with 503. Raises ``NoServer``."""
        async with self._answered("GET /health/ready") as response:
            try:
                answer = json.loads(await response.read())
            except ValueError:
                answer = None
        if not isinstance(answer, dict) or "ready" not in answer:
            raise self._stranger(response.status)
        return answer

    async def send_file(
        self, operation: str, file: str, data: bytes, *, query: Query | None = None, field: str = "file", **path: str
    ) -> Any:
        """Send a file of that name as a form and return the JSON of the answer. Raises like ``ask``."""
        form = aiohttp.FormData()
        form.add_field(field, data, filename=file, content_type="application/octet-stream")
        self.accounts = _accounts_in(path, {}, {})
        return await self._json_of(operation, path, query, data=form)

    async def send_stream(
        self, operation: str, file: Path, *, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send a file as the body, however large, and return the JSON of the answer. Raises like ``ask``."""
        more = {"Content-Type": "application/octet-stream", **(headers or {})}
        with file.open("rb") as opened:
            return await self._json_of(operation, {}, query, data=opened, headers=more, timeout=_LARGE_BODY)

    async def fetch_file(self, operation: str, *, query: Query | None = None, **path: str) -> bytes:
        """Return the file that an operation answers with. Raises like ``ask``."""
        self.accounts = _accounts_in(path, query or {}, {})
        async with self._answered(operation, path, query) as response:
            if response.status != 200:
                await self._answer(response)
                raise self._stranger(response.status)
            return await response.read()

    async def events(self, after: str | None = None) -> AsyncGenerator[StreamEvent, None]:
        """Follow the stream until it breaks (``NoServer``). With ``after`` the missed events come first."""
        headers = {"Last-Event-ID": after} if after else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
        async with self._answered("GET /events", headers=headers, timeout=timeout) as response:
            if response.status != 200:
                await self._answer(response)
            parser = EventParser()
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    yield event

    async def snapshot(self) -> list[dict[str, Any]]:
        """Return every account with all fields that may be shown, oldest first: the first event of the stream."""
        async with aclosing(self.events()) as stream:
            async for event in stream:
                if event.body.get("type") == "snapshot":
                    return in_order(event.body["accounts"])
        raise self._no_server(None)

    @asynccontextmanager
    async def _answered(
        self,
        operation: str,
        path: Mapping[str, str] | None = None,
        query: Query | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response to a call. No redirect is followed: it could take the token elsewhere."""
        if self._http is None:
            raise RuntimeError("the client is a context manager")
        method, url = operation.partition(" ")[0], self._at(operation, path or {}, query)
        sent = {**self._headers(), **(headers or {})}
        try:
            async with self._http.request(method, url, headers=sent, allow_redirects=False, **more) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._no_server(error) from None

    async def _json_of(self, operation: str, path: Mapping[str, str], query: Query | None, **more: Any) -> Any:
        async with self._answered(operation, path, query, **more) as response:
            answer = await self._answer(response)
        if self._changes is not None and not operation.startswith("GET "):
            self._changes.note(answer)
        return answer

    def _at(self, operation: str, path: Mapping[str, str], query: Query | None) -> URL:
        url = URL(self.url)
        for part in operation.partition(" ")[2].strip("/").split("/"):
            url /= path[part[1:-1]] if part.startswith("{") else part
        given = {
            name: str(value).lower() if isinstance(value, bool) else value if isinstance(value, list) else str(value)
            for name, value in (query or {}).items()
            if value is not None
        }
        return url.with_query(given) if given else url

    def _headers(self) -> dict[str, str]:
        signed_in = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return signed_in if self._changes is None else {**signed_in, **self._changes.header()}

    async def _answer(self, response: aiohttp.ClientResponse) -> Any:
        try:
            answer = json.loads(await response.read())
        except ValueError:
            raise self._stranger(response.status) from None
        if response.status < 300:
            return answer
        if not isinstance(answer, dict) or "detail" not in answer:
            raise self._stranger(response.status)
        code, detail = str(answer.get("code", "")), _detail(answer["detail"])
        raise (_Behind if code == "node_behind" else Refused)(response.status, code, detail)

    def _no_server(self, error: BaseException | None) -> NoServer:
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ServerTimeoutError):
            return NoServer(words("cli.client.timeout", url=self.url))
        if error is None or isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return NoServer(words("cli.client.broken", url=self.url))
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            return NoServer(words("cli.client.untrusted", url=self.url, why=why.rstrip(".")))
        return NoServer(words("cli.client.no_server", url=self.url))

    def _stranger(self, status: int) -> NoServer:
        return NoServer(words("cli.client.other_server", url=self.url, status=status))


class EventParser:
    """Parses server-sent events from chunks of bytes, no matter where the chunks are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that are complete with this chunk."""
        *blocks, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return [event for block in blocks if (event := _event(block)) is not None]


def server_url(url: str) -> str:
    """Return the address without its last slash. Raises ``ConfigError`` when it is not an address."""
    stripped = url.rstrip("/")
    try:
        parsed = URL(stripped)
    except ValueError:
        parsed = URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigError("startup.not_an_address", url=repr(url))
    return stripped


def in_order(accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort accounts oldest first, as the console lists them."""
    return sorted(accounts, key=lambda account: (account["created_at"], account["id"]))


def _accounts_in(path: Mapping[str, str], query: Query, body: Mapping[str, Any]) -> list[str]:
    """Return the shops that a call names, for an error that has to say which of them is not here."""
    named = [path.get("cid"), query.get("account"), body.get("account")]
    several = body.get("accounts") or body.get("shops")
    named += [one.get("account") if isinstance(one, dict) else one for one in several or ()]
    return [str(name) for name in named if name]


def _event(block: bytes) -> StreamEvent | None:
    fields: dict[str, list[str]] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    body = json.loads("\n".join(fields["data"]))
    return StreamEvent(body, fields["id"][-1] if "id" in fields else None)


def _detail(detail: Any) -> str:
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, row.get('loc', ())))}: {row.get('msg', '')}" for row in detail)
    return str(detail)
