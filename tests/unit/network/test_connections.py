"""Who gets a place at the door, and who makes room."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import socket
import sys
from typing import cast

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from shoal.api.http.request_limits import RequestLimits
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.network.addresses import host_name, is_allowed_host, parse_host_names, parse_networks
from shoal.network.connections import STATE_KEY, Connection, Connections, Limits, grouped, most_connections
from shoal.server.acceptor import Acceptor
from support.site.standins import until


async def test_f13_an_address_has_so_many_places_and_a_new_one_takes_that_of_its_oldest_silent_one() -> None:
    places = Connections(Limits(total=100, per_address=3, silent_seconds=60), parse_networks("10.0.0.0/8"))
    first, second, third = (places.admit("203.0.113.5") for _ in range(3))
    assert first
    assert second
    assert third
    first.work()
    assert places.admit("203.0.113.5")  # in the place of the second
    assert len(places) == 3
    third.work()
    fourth = next(one for one in places._all if one not in (first, third))
    fourth.work()
    assert places.admit("203.0.113.5") is None  # each is being served
    assert places.admit("203.0.113.6") is not None
    fourth.wait_for_client()
    assert places.admit("203.0.113.5") is not None
    for _ in range(20):
        assert places.admit("127.0.0.1") is not None  # this machine and proxies stand for many
        assert places.admit("10.1.2.3") is not None


async def test_f13_a_full_house_makes_room_by_whoever_has_been_silent_longest() -> None:
    places = Connections(Limits(total=4, per_address=100, silent_seconds=60), ())
    people = [places.admit(f"203.0.113.{number}") for number in range(4)]
    assert all(people)
    people[0].work()  # type: ignore[union-attr]
    assert places.admit("198.51.100.1") is not None
    assert people[1] not in places._all
    assert people[0] in places._all
    for one in list(places._all):
        one.work()
    assert places.admit("198.51.100.2") is None


async def test_f13_of_one_address_the_one_that_has_been_silent_longest_goes_and_not_the_one_that_came_first() -> None:
    places = Connections(Limits(total=100, per_address=2, silent_seconds=60), ())
    kept_alive, silent = places.admit("203.0.113.5"), places.admit("203.0.113.5")
    assert kept_alive
    assert silent
    await asyncio.sleep(0.01)
    kept_alive.work()
    kept_alive.wait_for_client()  # it has just been answered
    assert places.admit("203.0.113.5")
    assert kept_alive in places._all
    assert silent not in places._all


async def test_f13_a_request_that_follows_at_once_is_not_taken_for_silence_when_the_one_before_ends() -> None:
    places = Connections(Limits(total=9, per_address=9, silent_seconds=60), ())
    connection = places.admit("203.0.113.5")
    ends = {"/before": asyncio.Event(), "/after": asyncio.Event()}

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        await ends[scope["path"]].wait()

    async def receive() -> Message:
        return {}

    async def send(_: Message) -> None:
        pass

    async def asked(scope: Scope) -> None:
        await RequestLimits(places).through(app, scope, receive, send)

    def ask(path: str) -> asyncio.Task[None]:
        scope = {"type": "http", "path": path, "client": ("203.0.113.5", 1), "state": {STATE_KEY: connection}}
        return asyncio.create_task(asked(scope))

    before, after = ask("/before"), ask("/after")
    await asyncio.sleep(0)
    ends["/before"].set()
    await before
    assert connection not in places._waiting
    ends["/after"].set()
    await after
    assert connection in places._waiting


class _Answers(asyncio.Protocol):
    """Hears one request and has answered it at once; the next one never ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.asked = connection, 0

    def data_received(self, data: bytes) -> None:
        self.asked += 1
        if self.asked == 1:
            self.connection.begin_request()
            self.connection.end_request()


async def test_an_answered_client_is_kept_longer_than_one_that_owes_a_request_and_parted_with_without_a_word() -> None:
    places = Connections(Limits(total=9, per_address=9, silent_seconds=20), ())
    accepted: list[_Answers] = []

    def protocol(connection: Connection) -> asyncio.Protocol:
        accepted.append(_Answers(connection))
        return accepted[-1]

    def left(connection: Connection) -> float:
        return connection.deadline - asyncio.get_running_loop().time()

    places.set_protocol_of(protocol)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening, places, None, backlog=9)
        try:
            clients = [await asyncio.open_connection("127.0.0.1", listening.getsockname()[1]) for _ in range(2)]
            await until(lambda: len(accepted) == 2)
            assert all(left(one.connection) <= 20 for one in accepted)
            for _, writer in clients:
                writer.write(b"asked")
            await until(lambda: all(one.asked for one in accepted))
            assert all(left(one.connection) > 20 for one in accepted), "the next request may take its time"
            kept, begun = clients
            begun[1].write(b"the head of the next")
            await until(lambda: sum(one.asked for one in accepted) == 3)
            assert sorted(left(one.connection) <= 20 for one in accepted) == [False, True], "it may not, once begun"
            for one in accepted:
                one.connection.end(with_reason=True)
            assert await kept[0].read() == b"", "a reason would be taken for the answer to the next request"
            assert (await begun[0].read()).startswith(b"HTTP/1.1 408 ")
        finally:
            acceptor.close()
            await acceptor.wait_closed()
            places.end_all()
            for _, writer in clients:
                writer.close()


async def test_who_is_refused_at_a_full_server_reads_a_whole_answer_in_both_languages() -> None:
    places = Connections(Limits(total=0, per_address=0, silent_seconds=20), ())
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening, places, None, backlog=9)
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        finally:
            acceptor.close()
            await acceptor.wait_closed()
    sentences = [translate("page.too_many_connections", language) for language in Language]
    assert (answer.status_code, answer.text.splitlines()) == (503, sentences)


class _Refusing(socket.socket):
    """A listening socket whose next call of ``accept`` fails with this error."""

    error: int | None = None

    def accept(self) -> tuple[socket.socket, object]:
        error, self.error = self.error, None
        if error is not None:
            raise OSError(error, os.strerror(error))
        return super().accept()


@pytest.mark.parametrize(("error", "makes_room"), [(errno.EPROTO, False), (errno.EMFILE, True)])
async def test_a_connection_that_could_not_be_accepted_costs_another_its_place_only_without_handles(
    error: int, makes_room: bool
) -> None:
    places, accepted = Connections(Limits(total=9, per_address=9, silent_seconds=300), ()), 0

    def protocol(_: Connection) -> asyncio.Protocol:
        nonlocal accepted
        accepted += 1
        return asyncio.Protocol()

    places.set_protocol_of(protocol)
    with _Refusing(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        acceptor = Acceptor(listening, places, None, backlog=9)
        silent, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
        try:
            await until(lambda: accepted == 1)
            listening.error = error
            _, second = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
            await until(lambda: accepted == 2)
            if makes_room:
                assert await asyncio.wait_for(silent.read(), 60) == b""
            assert len(places) == (1 if makes_room else 2)
            second.close()
        finally:
            acceptor.close()
            await acceptor.wait_closed()
            writer.transport.abort()


class _Talks(asyncio.Protocol):
    """Sends much on every connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(bytes(24 << 20))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what of an answer has been taken")
async def test_f13_who_reads_a_large_answer_slowly_is_not_taken_for_who_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connections, "sweep", lambda _: 0)  # the acceptor would look by another clock
    places = Connections(Limits(total=9, per_address=9, silent_seconds=300), ())
    accepted: list[Connection] = []

    def protocol(connection: Connection) -> asyncio.Protocol:
        accepted.append(connection)
        connection.work()
        return _Talks()

    places.set_protocol_of(protocol)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening, places, None, backlog=9)
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1], limit=1 << 16)
        try:
            await until(lambda: bool(accepted))
            (connection,) = accepted
            await reader.readexactly(3_000_000)  # the buffers have grown as far as they will
            for second in range(60):
                assert not connection.is_stuck(float(second), 45), f"after {second} reads"
                await reader.readexactly(30_000)
                await asyncio.sleep(0.005)
            async with asyncio.timeout(60):
                for second in itertools.count(60, 10):  # and now nothing more is read
                    if connection.is_stuck(float(second), 20):
                        break
                    await asyncio.sleep(0.01)
        finally:
            acceptor.close()
            await acceptor.wait_closed()
            writer.transport.abort()


class _Upgrades(asyncio.Protocol):
    """Speaks by another protocol after the first word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        cast("asyncio.Transport", self._transport).set_protocol(asyncio.Protocol())


async def test_f13_on_an_upgraded_connection_a_silent_client_hears_no_answer_of_http() -> None:
    places = Connections(Limits(total=9, per_address=9, silent_seconds=300), ())
    places.set_protocol_of(lambda _: _Upgrades())
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening, places, None, backlog=9)
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
        try:
            writer.write(b"word")
            await until(lambda: any(not one._speaks_http for one in places._all))
            next(iter(places._all)).end(with_reason=True)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        finally:
            acceptor.close()
            await acceptor.wait_closed()
            writer.transport.abort()


async def test_f13_who_has_a_network_of_ipv6_counts_as_one_and_what_is_in_flight_is_counted_by_address() -> None:
    assert grouped("2001:db8:1:2::1") == grouped("2001:db8:1:2:ffff::9") != grouped("2001:db8:1:3::1")
    assert grouped("::ffff:203.0.113.5") == "203.0.113.5"
    places = Connections(Limits(total=100, per_address=1, silent_seconds=60), ())
    with places.in_flight("203.0.113.5") as first, places.in_flight("203.0.113.5") as second:
        assert (first, second) == (True, False)
        with places.in_flight("203.0.113.6") as other:
            assert other
    with places.in_flight("203.0.113.5") as again:
        assert again
    assert most_connections(0, 400) == 200
    assert most_connections(100, 20_000) == 100
    assert most_connections(0, 1_000_000) == 4_096


@pytest.mark.parametrize("word", ["https://a.example", "a.example:8080", "a b/c", "*", "", "ä.example"])
def test_f13_a_setting_that_is_no_name_is_refused(word: str) -> None:
    if not word:
        assert parse_host_names(" , ") == frozenset()
        return
    with pytest.raises(ValueError, match="is no name of a host"):
        parse_host_names(word)


def test_f13_a_name_is_read_out_of_a_header_and_compared_whole() -> None:
    allowed = parse_host_names("Shop.example.org. *.lan")
    for header in ("shop.example.org:443", "SHOP.EXAMPLE.ORG", "x.lan", "[::1]:80", "10.0.0.1:8080", "localhost"):
        assert is_allowed_host(host_name(header), allowed), header
    for header in ("example.org", "lan", "xlan", "localhost.evil.example", "1.2.3.4.evil.example", "[::1].evil"):
        name = host_name(header)
        assert not is_allowed_host(name, allowed) or name == "::1", header
