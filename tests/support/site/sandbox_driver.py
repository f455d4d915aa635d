"""A small client for tests of the sandbox, written from docs/protocol.md alone. No code of the package's client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgpack  # type: ignore[import-untyped]  # ships neither stubs nor a marker

from shoal.sandbox import Clock, Policy, Script, World, build_sandbox
from shoal.sandbox.site import Site
from shoal.sandbox.things import Seller
from support.servers.served import served

IM_APP_KEY = "444e9908a51d1cb236a27862abc769c9"
START_MS = 1_750_000_000_000
TOKEN_API = "mtop.taobao.idlemessage.pc.login.token"
CONSIGN_API = "mtop.taobao.idle.logistic.consign.dummy"

Json = Any


def unpack(data: str) -> Json:
    """Decode an entry of a push: JSON, else MessagePack."""
    raw = base64.b64decode(data)
    try:
        return json.loads(raw.decode())
    except ValueError:
        return msgpack.unpackb(raw, strict_map_key=False)


class Im:
    """One socket. Frames that were not asked for wait in ``unread``."""

    def __init__(self, shop: Shop, websocket: aiohttp.ClientWebSocketResponse, device_id: str) -> None:
        self.shop, self.websocket, self.device_id = shop, websocket, device_id
        self.unread: list[Json] = []
        self.number = 0

    async def frame(self, seconds: float = 60) -> Json:
        if self.unread:
            return self.unread.pop(0)
        async with asyncio.timeout(seconds):
            return json.loads(await self.websocket.receive_str())

    async def send(self, lwp: str, body: Json = None, **headers: str) -> str:
        self.number += 1
        mid = f"{self.number}17500000000000 0"
        frame = {"lwp": lwp, "headers": {"mid": mid, **headers}}
        await self.websocket.send_json(frame if body is None else frame | {"body": body})
        return mid

    async def ask(self, lwp: str, body: Json = None, **headers: str) -> Json:
        mid = await self.send(lwp, body, **headers)
        passed = []
        while (frame := await self.frame()).get("code") is None or frame["headers"]["mid"] != mid:
            passed.append(frame)
        self.unread = passed + self.unread
        return frame

    async def register(self, token: str, **changes: str) -> Json:
        headers = {"app-key": IM_APP_KEY, "token": token, "did": self.device_id} | changes
        return await self.ask("/reg", **headers)

    async def position(self, pts: int) -> Json:
        return await self.ask("/r/SyncStatus/ackDiff", [{"pipeline": "sync", "pts": pts}])

    async def push(self, seconds: float = 60) -> Json:
        """Return the next sync push that holds something."""
        while not (frame := await self.frame(seconds))["body"].get("syncPushPackage", {}).get("data"):
            pass
        return frame

    async def payload(self) -> Json:
        """Return the only payload of the next push, acked."""
        push = await self.push()
        await self.ack(push)
        (entry,) = push["body"]["syncPushPackage"]["data"]
        return unpack(entry["data"])

    async def ack(self, push: Json) -> None:
        headers = {name: push["headers"][name] for name in ("mid", "sid")}
        await self.websocket.send_json({"code": 200, "headers": headers})

    async def silence(self, lwp: str = "/!") -> bool:
        """Whether nothing comes before the answer to a request: frames leave in the order in which they are made."""
        await self.ask(lwp, [{"topic": "sync"}])
        return not self.unread

    async def write(self, cid: str, buyer_id: str, text: str, uuid: str = "-17500000000001") -> Json:
        data = base64.b64encode(json.dumps({"contentType": 1, "text": {"text": text}}).encode()).decode()
        order = {"uuid": uuid, "cid": f"{cid}@goofish", "conversationType": 1}
        order["content"] = {"contentType": 101, "custom": {"type": 1, "data": data}}
        receivers = [f"{buyer_id}@goofish", f"{self.shop.unb}@goofish"]
        body = [order, {"actualReceivers": receivers}]
        return await self.ask("/r/MessageSend/sendByReceiverScope", body)


class Shop:
    """A seller's browser: his cookies and what he asks with them."""

    def __init__(self, box: Box, seller: Seller) -> None:
        self.box, self.seller, self.unb = box, seller, seller.unb
        self.jar = dict(seller.jar)
        self.device_id = f"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D-{seller.unb}"

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    async def raw_mtop(self, api: str, text: str, sign: str | None = None) -> aiohttp.ClientResponse:
        """Make one call and merge what it sets; ``text`` goes out as it is."""
        t = str(self.box.world.clock.now_ms())
        tk = self.jar.get("_m_h5_tk", "").partition("_")[0]
        signed = hashlib.md5(f"{tk}&{t}&34839810&{text}".encode(), usedforsecurity=False).hexdigest()
        query = {"appKey": "34839810", "t": t, "sign": sign or signed, "api": api, "v": "1.0"}
        url = f"{self.box.url}/h5/{api}/1.0/"
        headers = {"cookie": self.cookie}
        async with self.box.http.post(url, params=query, data={"data": text}, headers=headers) as reply:
            await reply.read()
        for line in reply.headers.getall("set-cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value
        return reply

    async def mtop(self, api: str, data: Json, sign: str | None = None) -> Json:
        return await (await self.raw_mtop(api, json.dumps(data), sign)).json()

    async def token(self, device_id: str | None = None) -> str:
        data = {"appKey": IM_APP_KEY, "deviceId": device_id or self.device_id}
        reply = await self.mtop(TOKEN_API, data)
        assert reply["ret"] == ["SUCCESS::调用成功"], reply
        token: str = reply["data"]["accessToken"]
        return token

    @contextlib.asynccontextmanager
    async def socket(self, device_id: str | None = None) -> AsyncIterator[Im]:
        """Open a socket that has not registered."""
        url = self.box.url.replace("http:", "ws:") + "/"
        async with self.box.http.ws_connect(url, headers={"Cookie": self.cookie}) as websocket:
            yield Im(self, websocket, device_id or self.device_id)

    @contextlib.asynccontextmanager
    async def online(self, token: str | None = None, device_id: str | None = None) -> AsyncIterator[Im]:
        """Open a socket, register, and take the first push."""
        async with self.socket(device_id) as im:
            reply = await im.register(token or await self.token(device_id))
            assert reply["code"] == 200, reply
            assert (await im.frame())["lwp"] == "/s/vulcan"
            yield im


class Box:
    """A running sandbox and a way to it."""

    def __init__(self, url: str, site: Site, http: aiohttp.ClientSession) -> None:
        self.url, self.site, self.world, self.http = url, site, site.world, http

    def shop(self, number: int = 0) -> Shop:
        return Shop(self, list(self.world.sellers.values())[number])

    async def post(self, path: str, /, *, expect: int = 200, **body: Json) -> Json:
        async with self.http.post(f"{self.url}/_sandbox/{path}", json=body) as reply:
            assert reply.status == expect, await reply.text()
            return await reply.json()

    async def get(self, path: str, expect: int = 200) -> Json:
        async with self.http.get(f"{self.url}/_sandbox/{path}") as reply:
            assert reply.status == expect, await reply.text()
            return await reply.json()

    async def fault(self, kind: str, shop: Shop | None = None, **options: Json) -> Json:
        if shop:
            options["account"] = shop.unb
        return await self.post("fault", kind=kind, **options)


@contextlib.asynccontextmanager
async def sandbox(
    *,
    seed: int = 0,
    shops: int = 2,
    clock: Clock | None = None,
    script: bool | Script = False,
    policy: Policy | None = None,
) -> AsyncIterator[Box]:
    """Run a sandbox whose clock stands still unless another is given."""
    world = World(seed=seed, shops=shops, clock=clock or Clock(START_MS), policy=policy)
    app = build_sandbox(world, script=script)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        served(app) as url,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        yield Box(url, app.state.site, http)
