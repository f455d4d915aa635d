"""A client of a strict sandbox that sends what a browser sends, and whatever else a test wants of it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from shoal.sandbox import strict_policy
from support.site.sandbox_driver import IM_APP_KEY, TOKEN_API, Box, Json, sandbox

BUYER = "豆豆妈"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36"
)
CHROME = {
    "Accept": "application/json",
    "Accept-Language": "zh-CN,zh;q=0.9",
    "Origin": "https://www.goofish.com",
    "Referer": "https://www.goofish.com/",
    "User-Agent": AGENT,
    "sec-ch-ua": '"Chromium";v="146", "Not-A.Brand";v="24", "Google Chrome";v="146"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Windows"',
    "sec-fetch-dest": "empty",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-site",
    "priority": "u=1, i",
}
REG = {
    "cache-header": "app-key token ua wv",
    "app-key": IM_APP_KEY,
    "ua": f"{AGENT} DingTalk(2.1.5) OS(Windows/10) Browser(Chrome/146.0.0.0) DingWeb/2.1.5 IMPaaS DingWeb/2.1.5",
    "dt": "j",
    "wv": "im:3,au:3,sy:6",
    "sync": "0,0;0;0;",
}
OK = ["SUCCESS::调用成功"]


class Page:
    """A page of the site in one browser, logged in as one of the sandbox's sellers."""

    def __init__(self, box: Box, number: int = 0) -> None:
        self.box = box
        shop = box.shop(number)
        self.unb, self.device_id, self.jar = shop.unb, shop.device_id, dict(shop.jar)
        self.headers = dict(CHROME)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    async def call(
        self,
        api: str,
        data: Json,
        *,
        late_ms: int = 0,
        version: str = "1.0",
        headers: dict[str, str | None] | None = None,
        query: dict[str, str | None] | None = None,
    ) -> Json:
        """Make a signed call as the page does; ``headers`` and ``query`` change it, ``None`` leaves a name out."""
        t, text = str(self.box.world.clock.now_ms() + late_ms), json.dumps(data)
        tk = self.jar.get("_m_h5_tk", "").partition("_")[0]
        signed = hashlib.md5(f"{tk}&{t}&34839810&{text}".encode(), usedforsecurity=False).hexdigest()
        asked = {
            "jsv": "2.7.2",
            "appKey": "34839810",
            "t": t,
            "sign": signed,
            "v": version,
            "type": "originaljson",
            "accountSite": "xianyu",
            "dataType": "json",
            "timeout": "20000",
            "api": api,
            "sessionOption": "AutoLoginOnly",
        }
        url = f"{self.box.url}/h5/{api}/{version}/"
        sent = _changed(self.headers, headers) | {"Cookie": self.cookie}
        skip = () if "User-Agent" in sent else ("User-Agent",)
        async with self.box.http.post(
            url, params=_changed(asked, query), data={"data": text}, headers=sent, skip_auto_headers=skip
        ) as reply:
            return await reply.json()

    async def token(self, device_id: str | None = None, **changes: Any) -> Json:
        """Ask for a token of the message socket."""
        return await self.call(TOKEN_API, {"appKey": IM_APP_KEY, "deviceId": device_id or self.device_id}, **changes)

    @contextlib.asynccontextmanager
    async def socket(self, headers: dict[str, str | None] | None = None) -> AsyncIterator[Socket]:
        """Open the message socket as the page does."""
        usual = {name: self.headers[name] for name in ("Accept-Language", "Origin", "User-Agent")}
        sent = _changed(usual, headers) | {"Cookie": self.cookie}
        url = self.box.url.replace("http:", "ws:") + "/"
        async with (
            aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as http,
            http.ws_connect(url, headers=sent) as websocket,
        ):
            yield Socket(self, websocket)

    @contextlib.asynccontextmanager
    async def online(self) -> AsyncIterator[Socket]:
        """Open the socket and register."""
        token = (await self.token())["data"]["accessToken"]
        async with self.socket() as socket:
            assert (await socket.register(token))["code"] == 200
            yield socket


class Socket:
    """The message socket of a page."""

    def __init__(self, page: Page, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.page, self.websocket = page, websocket
        self.pushes: list[Json] = []
        self._number = 0

    async def ask(self, lwp: str, body: Json = None, headers: dict[str, str] | None = None) -> Json:
        """Send a request and return its answer; pushes that come before are kept."""
        self._number += 1
        mid = f"{self._number}1750000000000 0"
        frame = {"lwp": lwp, "headers": {**(headers or {}), "mid": mid}} | ({} if body is None else {"body": body})
        await self.websocket.send_json(frame)
        while True:
            answer = json.loads(await self.websocket.receive_str(timeout=60))
            if "code" in answer and answer["headers"]["mid"] == mid:
                return answer
            self.pushes.append(answer)

    async def push(self) -> Json:
        """Return the next push."""
        return self.pushes.pop(0) if self.pushes else json.loads(await self.websocket.receive_str(timeout=60))

    async def register(self, token: str, **changes: str | None) -> Json:
        """Register as the page does."""
        headers = REG | {"token": token, "did": self.page.device_id}
        return await self.ask("/reg", headers=_changed(headers, changes))

    def custom(self, content: Json) -> Json:
        """A content as it stands in a message."""
        return {"type": 1, "data": base64.b64encode(json.dumps(content).encode()).decode()}

    async def send(self, cid: str, content: Json, receivers: list[str] | None = None, /, **changes: Any) -> Json:
        """Send a message as the page does; returns the body of the answer."""
        custom = self.custom(content)
        order = {
            "uuid": f"-{self._number}17500000000001",
            "cid": f"{cid}@goofish",
            "conversationType": 1,
            "content": {"contentType": 101, "custom": custom},
            "redPointPolicy": 0,
            "extension": {"extJson": "{}"},
            "ctx": {"appVersion": "1.0", "platform": "web"},
            "mtags": {},
            "msgReadStatusSetting": 1,
        }
        buyer = self.page.box.world.chats[cid].buyer.id
        to = receivers or [f"{buyer}@goofish", f"{self.page.unb}@goofish"]
        order |= changes
        answer = await self.ask("/r/MessageSend/sendByReceiverScope", [order, {"actualReceivers": to}])
        return answer["body"]


def text(words: str) -> Json:
    """The content of a text message."""
    return {"contentType": 1, "text": {"text": words}}


def picture(url: str) -> Json:
    """The content of a picture."""
    return {"contentType": 2, "image": {"pics": [{"height": 1, "type": 0, "url": url, "width": 1}]}}


@contextlib.asynccontextmanager
async def strict(*without: str, also: tuple[str, ...] = (), **levers: Any) -> AsyncIterator[Box]:
    """Run a strict sandbox."""
    async with sandbox(policy=strict_policy(*without, also=also, **levers)) as box:
        yield box


async def bitten(box: Box) -> list[str]:
    """The rules that refused or saw something, in order."""
    return [line["rule"] for line in (await box.get("refusals"))["items"]]


def _changed(usual: dict[str, str], changes: Any) -> dict[str, str]:
    return {name: value for name, value in (usual | (changes or {})).items() if value is not None}
