"""Asks another node to do what only that one can: one HTTP call, of an operation.

``ask`` asks the node that runs an account, ``ask_node`` the one of a name. A call that certainly was not carried out is
made once more, for the account may just have moved. A call that is asked for by another node is never passed on. One
that gets no answer ends once the asked life has ended, or another node runs the account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

import aiohttp
import msgspec
import structlog
from sqlalchemy import Connection, TextClause, text

from shoal.accounts.ownership import Fence, shard_of
from shoal.cluster.asked_lives import Left, until_left
from shoal.cluster.call_signing import CallSigner
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.node_rows import NOW, Node, other_nodes
from shoal.errors import ShoalError
from shoal.storage.database import Database

log = structlog.get_logger("shoal.calls")

PATH: Final = "/node-calls"
STREAM_PATH: Final = "/node-streams"
CALL_HEADER: Final = "Shoal-Node"
ANSWER_HEADER: Final = "Shoal-Node-Answer"
CONNECT_SECONDS: Final = 3.0
CALL_SECONDS: Final = 45.0
"""Longer than a message waits for the site's answer, with its repetitions."""
LONGEST_ANSWER: Final = 16_000_000
"""The lists of fifty shops with a thousand items each are not longer."""
LONGEST_LINE: Final = 16_000_000
"""Of a stream: more than the events that wait for a reader at most."""
_OWNER: Final = text(f"""
    SELECT nodes.name, nodes.inc, nodes.address FROM shards
    JOIN nodes ON nodes.name = shards.owner AND nodes.inc = shards.owner_inc
    WHERE shards.shard = :shard AND NOT nodes.dead AND nodes.expires_at_ms >= {NOW}
""")  # noqa: S608  no value from a request is in it
_NAMED: Final = text(
    f"SELECT name, inc, address FROM nodes WHERE name = :name AND NOT dead AND expires_at_ms >= {NOW}"  # noqa: S608
)


class OwnerAway(ShoalError):
    """The node that runs the account cannot be asked. Certainly nothing was done.

    Codes: ``owner_unreachable`` names the node; ``owner_untrusted``: this node does not trust its certificate;
    ``owner_changing``: the account is moving, or no server runs it now. Of a node that was asked by its name:
    ``node_unreachable``, ``node_untrusted``; ``node_gone``: no living node has that name.
    """

    code = "owner_unreachable"


class AnswerLost(ShoalError):
    """The node was asked, and did not answer: it may have been done or not. Of a named node: ``node_silent``."""

    code = "owner_silent"


class OwnerMoved(AnswerLost):
    """No answer came, and another life owns the account now: what the asked one has not stored yet, it never will."""


class RefusedThere(ShoalError):
    """The node that was asked refused; ``code`` and ``params`` are its own."""


class _Asked(msgspec.Struct, frozen=True):
    """The node that is asked. ``kind`` begins the codes of its failures."""

    kind: str
    name: str
    inc: int
    address: str
    shard: int | None
    """That of the account; ``None`` when the node is asked by its name."""


class _NotDoneError(Exception):
    """The call was certainly not carried out. ``how`` ends the code of what is reported after two of them."""

    def __init__(self, why: str, how: str = "unreachable") -> None:
        super().__init__(why)
        self.how = how


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Return a whole answer; of one that is too long, a part, whose signature is not right."""
    parts, length = list[bytes](), 0
    async for part in content.iter_any():
        parts.append(part)
        length += len(part)
        if length > LONGEST_ANSWER:
            break
    return b"".join(parts)


class NodeCalls:
    """The calls of this node. A single server has no other to ask."""

    def __init__(self, database: Database, ownership: ClusterOwnership, signer: CallSigner) -> None:
        self._database = database
        self._ownership = ownership
        self.signer = signer
        self._session: aiohttp.ClientSession | None = None
        self._untrusted = set[str]()
        """The nodes of which the log says that their certificates are not trusted here."""

    def is_mine(self, account_id: str) -> bool:
        """Return whether this node certainly runs the account."""
        return self._ownership.owns(account_id)

    def fence(self, account_id: str) -> Fence | None:
        """Return the fence behind which this node writes what the account's connection does."""
        return self._ownership.fence(account_id)

    @property
    def me(self) -> tuple[str, int]:
        """Return the name of this node, and the number of its life."""
        return self._ownership.me()

    @property
    def lease_seconds(self) -> float:
        """Return how long the lease of a node is valid after a renewal; all nodes have the same setting."""
        return self._ownership.lease_seconds

    async def ask(
        self, account_id: str, operation: str, body: dict[str, Any], *, seconds: float = CALL_SECONDS
    ) -> dict[str, Any]:
        """Let the node that runs the account carry out an operation, and return its answer.

        Raises ``OwnerAway`` (nothing was done), ``AnswerLost`` (also ``OwnerMoved``), ``RefusedThere``, ``StoreError``.
        """

        async def owner() -> _Asked:
            return await self._owner(account_id)

        return await self._ask_twice(owner, operation, {"account": account_id, **body}, seconds)

    async def ask_node(
        self, name: str, operation: str, body: dict[str, Any], *, seconds: float = CALL_SECONDS
    ) -> dict[str, Any]:
        """Let another node, by its name, carry out an operation that is not about one account. Raises as ``ask``."""

        async def node() -> _Asked:
            return await self._named(name)

        return await self._ask_twice(node, operation, body, seconds)

    async def _ask_twice(
        self, find: Callable[[], Awaitable[_Asked]], operation: str, body: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        content = json.dumps(body).encode()
        node = await find()
        try:
            return await self._ask(node, operation, content, seconds)
        except _NotDoneError as first:
            log.info("a node could not be asked", operation=operation, node=node.name, why=str(first))
        again = await find()
        try:
            return await self._ask(again, operation, content, seconds)
        except _NotDoneError as last:
            raise OwnerAway("it cannot be reached", code=f"{again.kind}_{last.how}", node=again.name) from None

    async def _owner(self, account_id: str) -> _Asked:
        owner = await self._found("owner", _OWNER, {"shard": shard_of(account_id)})
        if owner is None or owner.name == self._ownership.name:
            raise OwnerAway("the account is moving", code="owner_changing")
        return owner

    async def _named(self, name: str) -> _Asked:
        if name == self._ownership.name:
            raise ValueError("a node does not ask itself")
        node = await self._found("node", _NAMED, {"name": name})
        if node is None:
            raise OwnerAway("no living node has that name", code="node_gone", node=name)
        return node

    async def _found(self, kind: str, statement: TextClause, values: dict[str, Any]) -> _Asked | None:
        def job(connection: Connection) -> _Asked | None:
            row = connection.execute(statement, values).first()
            return None if row is None else _Asked(kind, row.name, row.inc, row.address, values.get("shard"))

        found = await self._database.read(job)
        if found is not None and not found.address and found.name != self._ownership.name:
            raise OwnerAway("it says no address", code=f"{kind}_unreachable", node=found.name)
        return found

    async def _ask(self, node: _Asked, operation: str, content: bytes, seconds: float) -> dict[str, Any]:
        """Make the call. It is given up once the asked life can no longer do it."""
        calling = asyncio.create_task(self._call(node, operation, content, seconds), name=f"call:{operation}")
        mine = self._ownership

        def has_taken(taker: str) -> bool:  # this node learns what it claimed a little later than the database
            return taker != mine.name or (node.shard is not None and mine.owns_shard(node.shard))

        left = until_left(self._database, node.name, node.inc, node.shard, has_taken)
        leaving = asyncio.create_task(left, name="asked life")
        try:
            await asyncio.wait({calling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return await calling
            log.warning("a node left while it was asked", node=node.name, operation=operation, how=leaving.result())
            kind = OwnerMoved if leaving.result() is Left.MOVED else AnswerLost
            raise kind("it left while it was asked", code=f"{node.kind}_silent", node=node.name)
        finally:
            for task in (calling, leaving):
                task.cancel()
            await asyncio.gather(calling, leaving, return_exceptions=True)

    async def _call(self, node: _Asked, operation: str, content: bytes, seconds: float) -> dict[str, Any]:
        name, _ = self.me
        signature, number = self.signer.signed(operation, content, to=node.name, to_inc=node.inc, by=name)
        headers = {CALL_HEADER: signature, "Content-Type": "application/json"}
        url = f"{node.address.rstrip('/')}{PATH}/{operation}"
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._http().post(
                url, data=content, headers=headers, allow_redirects=False, timeout=limits
            ) as response:
                text = await _whole(response.content)
                status, signed = response.status, response.headers.get(ANSWER_HEADER, "")
        except aiohttp.ClientConnectorError as error:  # the body has not left
            raise _NotDoneError(type(error).__name__, self._how(error, node.name, node.address)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise _NotDoneError("it could not be reached in time") from None
            log.warning("a node did not answer", node=node.name, why=type(error).__name__)
            raise AnswerLost("it did not answer", code=f"{node.kind}_silent", node=node.name) from None
        if not self.signer.is_answer(signed, number, text):  # refused before anything began, or it is not that node
            if status in {403, 404, 421}:
                raise _NotDoneError(f"status {status}")
            raise AnswerLost("somebody else answered", code=f"{node.kind}_silent", node=node.name)
        answer: dict[str, Any] = json.loads(text)
        refused = answer.get("refused")
        if refused is None:
            done: dict[str, Any] = answer["done"]
            return done
        if refused["code"] in {"not_owner", "unknown_operation"}:
            raise _NotDoneError(refused["code"])
        raise RefusedThere(refused["message"], code=refused["code"], **refused["params"])

    async def others(self) -> list[Node]:
        """Return the other living nodes. Raises ``StoreError``."""
        return await self._database.read(lambda connection: other_nodes(connection, self._ownership.name))

    async def listen(self, node: Node, operation: str, *, silence_seconds: float) -> AsyncGenerator[bytes, None]:
        """Yield what another node goes on sending, one signed line after the other. It ends with an exception:
        ``OwnerAway``, or ``AnswerLost`` once a line was missed, is not that node's, or none came in time."""
        name, _ = self.me
        signature, number = self.signer.signed(operation, b"{}", to=node.name, to_inc=node.inc, by=name)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
        url = f"{node.address.rstrip('/')}{STREAM_PATH}/{operation}"
        try:
            async with self._http().post(
                url, data=b"{}", headers={CALL_HEADER: signature}, allow_redirects=False, timeout=limits
            ) as response:
                if response.status != 200:
                    raise OwnerAway(f"status {response.status}", code="node_unreachable", node=node.name)
                count = 0
                async for line in _lines(response.content):
                    signed, _, text = line.partition(b" ")
                    if not self.signer.is_answer(signed.decode("ascii", "replace"), f"{number}/{count}", text):
                        raise AnswerLost("somebody else answered", code="node_silent", node=node.name)
                    count += 1
                    yield text
        except aiohttp.ClientConnectorError as error:
            how = self._how(error, node.name, node.address)
            raise OwnerAway(type(error).__name__, code=f"node_{how}", node=node.name) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLost(type(error).__name__, code="node_silent", node=node.name) from None
        raise AnswerLost("it ended the answer", code="node_silent", node=node.name)

    def _how(self, error: aiohttp.ClientConnectorError, name: str, address: str) -> str:
        """Return how a node could not be reached. Log once for each that its certificate is not trusted here."""
        if not isinstance(error, aiohttp.ClientConnectorCertificateError):
            return "unreachable"
        if name not in self._untrusted:
            self._untrusted.add(name)
            why = getattr(error.certificate_error, "verify_message", "")
            hint = "name its authority by SSL_CERT_FILE"
            log.warning("the certificate of another node is not trusted", node=name, address=address, why=why, do=hint)
        return "untrusted"

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection for each call: one that was kept may be closed just then, and the outcome would be unknown.
            # trust_env is off, so no proxy of the machine is asked.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections to other nodes."""
        if self._session is not None:
            await self._session.close()


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield the whole lines; aiohttp's own reading refuses long ones. Raises ``aiohttp.ClientError``."""
    parts: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join((*parts, end))
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > LONGEST_LINE:
            raise aiohttp.ClientPayloadError("a line is too long")
