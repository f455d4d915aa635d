"""A network of its own with one interface, whose every packet is looked at. Run as a script: it drives the real
programs in there, then prints as JSON what they asked for.

Everything that is sent anywhere goes to the loopback interface, by a route for every address: so an attempt to reach
another machine, or to ask a name server, is a packet that is seen, whatever made it and however it ended.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
from support.runs.forked_programs import fork_programs
from support.runs.warm_parent import import_programs

NOT_ALLOWED = 77
"""The exit code where this user may not make a network."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCADDRT, _SIOCSIFADDR = 0x8913, 0x8914, 0x890B, 0x8916
_RTF_UP, _IFF_UP = 1, 1
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_UNREACHABLE = 1
_SYN, _ACK = 0x02, 0x10
_EVERYTHING = 0x0003
_SO_ATTACH_FILTER = 26
_BEGINNINGS = (
    (0x28, 0, 0, 12),  # what kind of packet
    (0x15, 0, 3, 0x0800),
    (0xB1, 0, 0, 14),  # IPv4: the size of its head
    (0x30, 0, 0, 23),  # and what it carries
    (0x05, 0, 0, 3),
    (0x15, 0, 6, 0x86DD),
    (0x01, 0, 0, 40),  # IPv6: the same
    (0x30, 0, 0, 20),
    (0x15, 0, 3, _TCP),
    (0x50, 0, 0, 14 + 13),
    (0x54, 0, 0, _SYN | _ACK),
    (0x15, 0, 1, _SYN),
    (0x06, 0, 0, 0xFFFF),  # kept: whole
    (0x06, 0, 0, 0),  # passed over
)
"""A filter of the kernel: of TCP only the packet that begins a connection, of all else every packet."""

COOKIE = "unb=2200000000009; cookie2=invented; _m_h5_tk=0123456789abcdef0123456789abcdef_1900000000000; _m_h5_tk_enc=0"
PROXY = "proxy.shop.example"
SUPPLIER = "supplier.shop.example"
HEARTBEAT = "heartbeat.shop.example"
WEBHOOK = "events.shop.example"
COLLECTOR = "traces.shop.example"
MAIL = {"sender": "shoal@shop.example", "to": "me@shop.example"}
KEYS = {
    "p256dh": "BISSi9NJH_3nrUKhGqE_HVhwsZZiNO8C9_5CeyQsX95F-12oN0GkgIGnri90UfoBVKeG6EZIXnPlK7nhRdDgWZM",
    "auth": "AAAAAAAAAAAAAAAAAAAAAA",
    "site": "https://shoal.shop.example",
}
"""What a browser gives, invented."""
CHANNELS = {
    "oapi.dingtalk.com": ("dingtalk", {"token": "abc123"}),
    "open.feishu.cn": ("feishu", {"token": "abc123"}),
    "open.larksuite.com": ("lark", {"token": "abc123"}),
    "qyapi.weixin.qq.com": ("wecom", {"key": "abc123"}),
    "api.day.app": ("bark", {"device_key": "abc123"}),
    "www.pushplus.plus": ("pushplus", {"token": "0123456789abcdef0123456789abcdef"}),
    "sctapi.ftqq.com": ("serverchan", {"token": "SCT123abc"}),
    "7.push.ft07.com": ("serverchan", {"token": "sctp7tabc"}),
    "wxpusher.zjiecode.com": ("wxpusher", {"app_token": "AT_abc", "target": "UID_abc"}),
    "api.telegram.org": ("telegram", {"bot_token": "123:abc", "chat_id": "42"}),
    "qmsg.zendee.cn": ("qq", {"token": "0123456789abcdef01234567"}),
    "ntfy.sh": ("ntfy", {"topic": "my-shop"}),
    "gotify.shop.example": ("gotify", {"server": "https://gotify.shop.example", "token": "abc"}),
    "fcm.googleapis.com": ("webpush", {"endpoint": "https://fcm.googleapis.com/fcm/send/a", **KEYS}),
    "hooks.shop.example": ("webhook", {"url": "https://hooks.shop.example/x"}),
    "smtp.shop.example": ("email", {"host": "smtp.shop.example", **MAIL}),
}
"""One channel of each service, by the host that it must reach."""
INSIDE = {
    "10.0.0.7": ("ntfy", {"server": "http://10.0.0.7", "topic": "my-shop"}),
    "169.254.169.254": ("gotify", {"server": "http://169.254.169.254", "token": "abc"}),
    "fd00::9": ("webhook", {"url": "http://[fd00::9]/x"}),
    "192.168.0.9": ("email", {"host": "192.168.0.9", **MAIL}),
}
"""Channels to hosts inside, to which nothing may be sent."""
PLANTED = (
    (socket.AF_INET, socket.SOCK_STREAM, ("203.0.113.7", 443)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::7", 443)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("198.51.100.1", 8125)),
)
"""What must be found: every way there is to reach out."""


def enter() -> None:
    """Leave the machine's network for an empty one. Raises ``OSError`` where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        ask = struct.pack("16sH22x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, _SIOCGIFFLAGS, ask), 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
        anywhere = struct.pack("H14x", socket.AF_INET)
        name = ctypes.create_string_buffer(b"lo")
        route = struct.pack(
            "L16s16s16sHhLPhPLLH", 0, anywhere, anywhere, anywhere, _RTF_UP, 0, 0, 0, 0, ctypes.addressof(name), 0, 0, 0
        )
        fcntl.ioctl(control, _SIOCADDRT, route)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        nothing = bytes(16)
        index = socket.if_nametoindex("lo")
        ours = socket.inet_pton(socket.AF_INET6, "fd00::1")  # without one nothing can be sent from
        fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16sIi", ours, 128, index))
        route = struct.pack("16s16s16sIHHILIi", nothing, nothing, nothing, 0, 0, 0, 1, 0, _RTF_UP, index)
        fcntl.ioctl(control, _SIOCADDRT, route)


@dataclass
class Watch:
    """Who was asked for: ``proto address port`` of each beginning, and each name that a name server was asked for."""

    targets: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    lost: int = 0

    def begin(self) -> None:
        """Keep every packet from now on but those within a connection of TCP, whose beginning is kept."""
        steps = b"".join(struct.pack("HBBI", *step) for step in _BEGINNINGS)
        kept = ctypes.create_string_buffer(steps, len(steps))
        self._link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._link.setblocking(False)
        self._link.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_BEGINNINGS), ctypes.addressof(kept))
        )
        self._link.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self._link.bind(("lo", _EVERYTHING))

    def said(self) -> dict[str, Any]:
        """What was seen so far."""
        self._look()
        _, dropped = struct.unpack("II", self._link.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.lost += dropped
        return {"targets": sorted(self.targets), "names": sorted(self.names), "lost": self.lost}

    def _look(self) -> None:
        while True:
            try:
                packet = self._link.recv(65_535)
            except BlockingIOError:
                return
            kind = int.from_bytes(packet[12:14])
            if kind == 0x0800:
                head = (packet[14] & 0x0F) * 4
                self._note(packet[23], socket.inet_ntop(socket.AF_INET, packet[30:34]), packet[14 + head :])
            elif kind == 0x86DD:
                self._note(packet[20], socket.inet_ntop(socket.AF_INET6, packet[38:54]), packet[54:])

    def _note(self, protocol: int, address: str, body: bytes) -> None:
        port = int.from_bytes(body[2:4])
        if protocol == _TCP:
            if body[13] & (_SYN | _ACK) == _SYN:
                self.targets.add(f"tcp {address} {port}")
        elif protocol == _UDP:
            if port == 53:
                self.names.add(_asked_name(body[8:]))
            else:
                self.targets.add(f"udp {address} {port}")
        elif protocol == _ICMP6 and body[0] == _UNREACHABLE:  # the kernel sends no IPv6 there, and shows what it got
            self._note(body[14], socket.inet_ntop(socket.AF_INET6, body[32:48]), body[48:])
        elif protocol not in {_ICMP, _ICMP6}:
            self.targets.add(f"protocol {protocol} {address}")


def _asked_name(question: bytes) -> str:
    """The name of a DNS question."""
    labels, place = [], 12
    while place < len(question) and question[place]:
        labels.append(question[place + 1 : place + 1 + question[place]].decode("ascii", "replace"))
        place += 1 + question[place]
    return ".".join(labels)


KEPT = httpx.Limits(keepalive_expiry=30.0)
"""Sandbox and server keep idle connections for 75 seconds."""


def reach_out() -> None:
    """Try to send usage statistics."""
    for family, kind, place in PLANTED:
        with suppress(OSError), socket.socket(family, kind) as link:
            link.settimeout(0.3)
            link.connect(place)
            link.send(b"usage statistics")
    with suppress(OSError):
        socket.getaddrinfo("statistics.example", 443)


async def soon(what: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(180):
        while not await what():
            await asyncio.sleep(0.2)


async def spawn(stack: AsyncExitStack, directory: Path, *words: str, **environment: str) -> asyncio.subprocess.Process:
    """One of the project's programs in a directory of its own, ended at the end."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SHOAL_", "LC_", "LANG"))}
    with (directory / "stdout").open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "shoal", *words, cwd=directory,
            env={**plain, "PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": str(directory), **environment},
            stdout=output, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def end() -> None:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await child.wait()

    stack.push_async_callback(end)
    return child


async def live_in_the_demo(directory: Path) -> list[str]:
    """The demo until a buyer was answered and an order served; its addresses, which alone may be asked for."""
    async with AsyncExitStack() as stack:
        child = await spawn(stack, directory, "demo", SHOAL_PORT="0")
        ready: dict[str, str] = {}

        async def begun() -> bool:
            lines = (directory / "stdout").read_text().splitlines()
            ready.update(json.loads(lines[0].removeprefix("READY ")) if lines else {})
            return bool(ready)

        await soon(begun)
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=ready["url"], timeout=60, trust_env=False, limits=KEPT)
        )
        site = httpx.AsyncClient(base_url=f"{ready['sandbox']}/_sandbox", timeout=60, trust_env=False, limits=KEPT)
        await stack.enter_async_context(site)
        await sign_in(http, ready["user"], ready["password"])
        unb = (await http.get("/cookies/xiaoyu")).json()["unb"]
        await site.post("/say", json={"account": unb, "buyer": "ann", "text": "在吗"})
        await site.post("/pay", json={"account": unb, "buyer": "bob"})

        async def served() -> bool:
            seen = (await site.get(f"/chats/{unb}/ann")).json()["seen"]
            orders = (await site.get("/orders", params={"account": unb})).json()["items"]
            return bool(seen) and any(order["status"] == "shipped" for order in orders)

        await soon(served)
        for path in ("/console/", "/docs", "/openapi.json", "/health", "/system/status", "/cookies/xiaoyu/diagnosis"):
            await http.get(path)
        checked = await http.post("/console/proxy-check", json={"proxy": None})
        assert checked.json()["ok"], checked.text

        async def told() -> bool:  # its channel is the sandbox, by way of the proxy
            return bool((await site.get("/received")).json()["items"])

        await soon(told)
        demo = psutil.Process(child.pid)
        return listening(demo, *demo.children(recursive=True))


async def live_with_the_real_names(directory: Path) -> list[str]:
    """A server with default settings, and no answers: an account, one behind a proxy, a QR login, a supplier. Its own
    address."""
    async with AsyncExitStack() as stack:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        child = await spawn(
            stack, directory, "serve",
            SHOAL_PORT=str(port), SHOAL_DATA_DIR=str(directory / "data"), SHOAL_ADMIN_PASSWORD="correct horse 9 staple",
            SHOAL_HEARTBEAT_URL=f"https://{HEARTBEAT}/beat", SHOAL_OTLP_ENDPOINT=f"https://{COLLECTOR}",
            SHOAL_METRICS_TOKEN="of nobody but the operator",
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=KEPT)
        )

        async def ready() -> bool:
            try:
                return (await http.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await soon(ready)
        await sign_in(http, "admin", "correct horse 9 staple")
        shops = {"id": "direct", "value": COOKIE}, {
            "id": "proxied", "value": COOKIE.replace("0009;", "0008;"), "proxy": f"http://{PROXY}:8080",
        }  # fmt: skip
        for shop in shops:
            answer = await http.post("/cookies?wait=0", json=shop)
            assert answer.status_code == 200, answer.text
        await http.post("/qr-logins", json={})
        await http.post("/console/proxy-check", json={"proxy": None})
        goods = {"name": "cards", "kind": "supplier", "supplier": {"url": f"https://{SUPPLIER}/orders"}}
        made = (await http.post("/goods", json=goods)).json()
        bought = await http.post(f"/goods/{made['id']}/supplier/try", json={"call": True})
        assert bought.json()["answer"]["outcome"] == "unreachable", bought.text

        async def tried() -> bool:
            states = [(await http.get(f"/cookies/{shop['id']}")).json()["state"] for shop in shops]
            return states == ["retrying", "retrying"]

        await soon(tried)
        await tell_every_channel(http)
        for host, error in ((WEBHOOK, "unknown_host"), ("10.0.0.8", "private_target")):
            hook = (await http.post("/webhooks", json={"url": f"http://{host}/x"})).json()
            called = await http.post(f"/webhooks/{hook['id']}/test")
            assert called.json()["error"] == error, called.text
        ours = listening(psutil.Process(child.pid))
        assert len(ours) == 2, "it listens for requests, and for the process that sends notices"
    return ours


def listening(*programs: psutil.Process) -> list[str]:
    """Where these listen."""
    found = [one for program in programs for one in program.net_connections("tcp")]
    return [f"tcp 127.0.0.1 {port}" for port in {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}]


async def tell_every_channel(http: httpx.AsyncClient) -> None:
    """Send a test over a channel of every service, until each was tried: the answer names the host."""

    async def tell(host: str, service: str, fields: dict[str, str]) -> None:
        made = await http.post("/channels", json={"name": host, "service": service, "fields": fields})
        assert made.status_code == 200, made.text

        async def tried() -> bool:
            answer = (await http.post(f"/channels/{made.json()['id']}/test")).json()
            return host in answer["answer"]

        await soon(tried)

    for host, (service, fields) in {**CHANNELS, **INSIDE}.items():
        await tell(host, service, fields)


async def sign_in(http: httpx.AsyncClient, user: str, password: str) -> None:
    """Be the administrator."""
    answer = (await http.post("/login", json={"username": user, "password": password})).json()
    http.headers["Authorization"] = f"Bearer {answer['token']}"


async def main(directory: Path) -> None:
    """Watch the programs, then what is planted."""
    watch = Watch()
    watch.begin()
    os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
    import_programs()
    fork_programs()
    demo, real = await asyncio.gather(
        live_in_the_demo(directory / "demo"), live_with_the_real_names(directory / "real")
    )
    said = watch.said()
    await asyncio.to_thread(reach_out)
    caught = watch.said()
    print(json.dumps({"programs": said, "allowed": demo + real, "caught": caught}))  # noqa: T201


if __name__ == "__main__":
    try:
        enter()
    except OSError as error:
        print(f"no network of its own: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_ALLOWED)
    asyncio.run(main(Path(sys.argv[1])))
