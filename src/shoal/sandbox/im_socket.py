"""The IM WebSocket of the site: register, sync position, heartbeat, send, history (docs/protocol.md §3 and §4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from shoal.sandbox import codec
from shoal.sandbox.clock import wall_ms
from shoal.sandbox.faults import short_name
from shoal.sandbox.im_requests import HANDLERS, Answer, Refused
from shoal.sandbox.mtop_apis import IM_APP_KEY
from shoal.sandbox.mtop_site import RISK, parse_cookies, punish_url
from shoal.sandbox.real_shapes import AROUSES, session_arouse, without_place
from shoal.sandbox.site import Entry, Site
from shoal.sandbox.strict.socket import refuse_handshake, refuse_reg
from shoal.sandbox.things import ImToken

Frame = dict[str, Any]

IN_FLIGHT: Final = 1_000
"""how many pushes without an ack a socket remembers"""
FRAME_BYTES: Final = 1 << 20


@dataclass(slots=True, eq=False)
class Socket:
    """One socket, from handshake to end."""

    site: Site
    websocket: WebSocket
    number: int
    unb: str
    """the account: first from the handshake's cookie, then from the token"""
    cookie_unb: str
    abort: Callable[[], None] | None
    device_id: str = ""
    token: ImToken | None = None
    registered: bool = False
    zombie: bool = False
    mute: bool = False
    push_number: int = 0
    user_agent: str = ""
    """the ``ua`` of ``/reg``"""
    in_flight: dict[str, list[Entry]] = field(default_factory=dict)
    outbox: asyncio.Queue[Frame | int] = field(default_factory=asyncio.Queue)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def sid(self) -> str:
        """Return the session id of this socket."""
        return f"s{self.number}"

    # -- life -----------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Read until the socket ends, then end all its tasks."""
        writer = asyncio.create_task(self._write(), name=f"sandbox-socket-{self.number}-writer")
        try:
            while (event := await self.websocket.receive())["type"] == "websocket.receive":
                self._receive(event.get("text") or "")
        finally:
            self.site.disconnected(self)
            mine = [writer, *self.tasks]
            for task in mine:
                task.cancel()
            ends = await asyncio.gather(*mine, return_exceptions=True)
        for failure in ends:
            if isinstance(failure, Exception):
                raise failure

    async def _write(self) -> None:
        while True:
            frame = await self.outbox.get()
            try:
                if isinstance(frame, int):
                    await self._end(frame)
                    return
                await self.websocket.send_text(codec.compact(frame))
            except (WebSocketDisconnect, RuntimeError):
                return  # the peer closed first; the reader notices it too
            self._log("out", frame)

    async def _end(self, code: int) -> None:
        if code == 1006 and self.abort:
            self.abort()
        else:
            await self.websocket.close(1011 if code == 1006 else code)

    def close(self, code: int) -> None:
        """End the socket after what is already queued; 1006 drops the connection without a close frame."""
        self.site.disconnected(self)
        self.outbox.put_nowait(code)

    def _log(self, direction: str, frame: object) -> None:
        self.site.frames.add(
            wall_ms=wall_ms(),
            at=self.site.clock.now_ms(),
            account=self.unb,
            socket=self.number,
            direction=direction,
            frame=frame,
        )

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"sandbox-socket-{self.number}-{self.unb}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # -- frames in ------------------------------------------------------------------------------------------------

    def _receive(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            frame = text
        self._log("in", frame)
        if not isinstance(frame, dict):
            return
        headers = frame.get("headers")
        mid = str(headers.get("mid", "")) if isinstance(headers, dict) else ""
        if "code" in frame and "lwp" not in frame:
            for entry in self.in_flight.pop(mid, ()):
                entry.acked = True
            return
        lwp = str(frame.get("lwp", ""))
        which = short_name(lwp)
        try:
            answer = self._risk(which) or self._answer(lwp, frame)
        except Refused as refusal:
            answer = (refusal.code, {"reason": refusal.reason})
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as broken:
            answer = (400, {"reason": "param error", "developerMessage": type(broken).__name__})
        if answer is None or self.mute:
            return
        self._reply(mid, which, answer)

    def _risk(self, which: str) -> Answer | None:
        """Answer as a fault says that names this request; risk control without a name is for the gateway."""
        if answer := self.site.faults.take("answer", self.unb, which):
            return int(answer.options.get("status") or 200), answer.options.get("body")
        fault = self.site.faults.find("risk_control", self.unb, which)
        if fault is None or fault.options.get("which") != which:
            return None
        self.site.faults.play(fault)
        return 400, {"reason": RISK[0], "developerMessage": RISK[1], "url": punish_url(which)}

    def _reply(self, mid: str, which: str, answer: Answer) -> None:
        code, body = answer
        headers = {"mid": mid, "sid": self.sid}
        if self.site.is_real and which == "getstate":
            headers["server-timestamp"] = str(self.site.clock.now_ms())
        elif self.site.is_real and which == "send":
            headers["dt"] = "j"
        if which == "reg" and code == 200:
            headers |= {
                "reg-sid": f"rs{self.number}",
                "reg-uid": codec.address(self.unb),
                "dt": "j",
                "real-ip": "192.0.2.1",
                "ip-digest": "x",
                "ip-region-digest": "y",
            }
        reply: Frame = {"code": code, "headers": headers}
        if body is not None:
            reply["body"] = body
        if self.site.faults.detains(self.unb, which):
            self._later(self._reply_later(which, reply))
        else:
            self.outbox.put_nowait(reply)
            self._replied(which, code)

    async def _reply_later(self, which: str, reply: Frame) -> None:
        await self.site.faults.detain(self.unb, which)
        self.outbox.put_nowait(reply)
        self._replied(which, reply["code"])

    def _replied(self, which: str, code: int) -> None:
        if which == "reg" and code == 200:
            self._first_push()
        close = self.site.faults.find("close", self.unb)
        if close and close.options.get("when") == which:
            self.site.faults.play(close)
            self.close(int(close.options.get("code", 1000)))

    def _answer(self, lwp: str, frame: Frame) -> Answer | None:
        if lwp == "/reg":
            return self._register(frame["headers"])
        if lwp == "/!":
            if not self.registered and self.site.strict.has("early_heartbeat"):
                self.site.strict.add("early_heartbeat", "socket", self.unb, "a heartbeat before /reg", refused=True)
                self.close(1008)
                return None
            return 200, None
        handler = HANDLERS.get(lwp)
        if handler is None:
            raise Refused("not found", 404)
        if not self.registered:
            raise Refused("not auth")
        return handler(self.site, self, frame.get("body"))

    # -- register -------------------------------------------------------------------------------------------------

    def _register(self, headers: Frame) -> Answer:
        feed = self.site.feed(self.unb)
        try:
            token = self._check_token(headers)
        except Refused:
            feed.refusals += 1
            raise
        self.unb, self.device_id, self.token = token.unb, token.device_id, token
        if self.registered:
            self.site.disconnected(self)
        self.registered = True
        self.site.connected(self)
        if life_seconds := self.site.world.policy.socket_seconds:
            self._later(self._grow_old(life_seconds))
        zombie = self.site.faults.find("silent_zombie", self.unb)
        if zombie and zombie.options.get("sticky"):
            self.zombie, self.mute = True, not zombie.options.get("heartbeats", True)
        now = self.site.clock.now_ms()
        self.user_agent = str(headers.get("ua", ""))
        if self.site.is_real:
            return 200, {"unitName": "PNM", "cookie": "", "timestamp": now, "isFromChina": True}
        return 200, {"unitName": "center", "cookie": "c", "timestamp": now, "isFromChina": True}

    async def _grow_old(self, seconds: float) -> None:
        await self.site.clock.sleep(seconds)
        self.close(1001)

    def _check_token(self, headers: Frame) -> ImToken:
        faults = self.site.faults
        if limit := faults.take("connect_limit", self.unb):
            raise Refused(limit.options.get("reason") or "connect limit")
        if refusal := faults.take("token_refused", self.unb):
            raise Refused(refusal.options.get("reason") or "invalid token")
        token = self.site.world.tokens.get(unquote(str(headers.get("token", ""))))
        if reason := refuse_reg(self.site, headers, self.unb, token):
            raise Refused(reason)
        if token is None:
            raise Refused("invalid token")
        if token.device_id != headers.get("did") or headers.get("app-key") != IM_APP_KEY:
            raise Refused("device id or appkey is not equal")
        if token.expires_ms <= self.site.clock.now_ms():
            raise Refused("token invalid")
        if self.cookie_unb not in ("", token.unb):
            raise Refused("not auth")
        return token

    # -- pushes ---------------------------------------------------------------------------------------------------

    def _first_push(self) -> None:
        if not self.site.is_real:
            self.push([], "/s/vulcan")
            return
        now = self.site.clock.now_ms()
        entries = real_entries(self.site, self.unb, now)
        package = {"startSeq": 1, "endSeq": len(entries), "minCreateTime": now}
        model = {"reconnectType": 1, "failover": 0, "fingerprint": -1_234_567_890}
        self.push(entries, "/s/vulcan", package, syncExtensionModel=model, syncExtraType={"type": 3})

    def _headers(self) -> dict[str, str]:
        """Return the headers of the next push; captured ones give our app-key and ua back."""
        self.push_number += 1
        if not self.site.is_real:
            return {"mid": f"p{self.number}x{self.push_number} 0", "sid": self.sid}
        mid = f"{(self.number << 20 | self.push_number) & 0xFFFFFFFF:08x} 0"
        return {"app-key": IM_APP_KEY, "mid": mid, "ua": self.user_agent, "sid": self.sid}

    def push(self, entries: list[Entry], lwp: str = "/s/sync", package: Frame | None = None, /, **extra: Any) -> None:
        """Send entries in one push and wait for their ack (docs/protocol.md §3)."""
        headers = self._headers()
        self.in_flight[headers["mid"]] = entries
        while len(self.in_flight) > IN_FLIGHT:
            del self.in_flight[next(iter(self.in_flight))]
        body = self._package(entries, package or {})
        if self.site.is_real and lwp == "/s/para":
            body = without_place(body)
        self.outbox.put_nowait({"lwp": lwp, "headers": headers, "body": body | extra})

    def _package(self, entries: list[Entry], changes: Frame) -> Frame:
        now = self.site.clock.now_ms()
        data = [
            {
                "bizType": entry.object_type // 1000,
                "data": entry.data,
                "streamId": f"st{entry.pts}",
                "objectType": entry.object_type,
                "syncId": f"sy{entry.pts}",
            }
            for entry in entries
        ]
        package = {
            "maxHighPts": 0,
            "startSeq": 0,
            "endSeq": 0,
            "minCreateTime": 0,
            "data": data,
            "maxPts": max((entry.pts for entry in entries), default=self.site.feed(self.unb).last_pts),
            "hasMore": 0,
            "timestamp": now,
        }
        model = {"reconnectType": 0, "failover": 0, "fingerprint": 0}
        return {"syncPushPackage": package | changes, "syncExtensionModel": model}

    def notify(self, lwp: str, body: dict[str, Any]) -> None:
        """Send a push that is not a sync package."""
        self.outbox.put_nowait({"lwp": lwp, "headers": self._headers(), "body": body})


def real_entries(site: Site, unb: str, now_ms: int) -> list[Entry]:
    """Return the content of the first push of a socket: phrases for the account's chats, or for an invented one."""
    chats = [(chat.cid, chat.buyer.id, chat.item_id) for chat in site.world.chats_of(unb)[:AROUSES]]
    invented = ("59000000001", "2200000000009", next(iter(site.world.seller(unb).items), "800000000001"))
    chosen = [chats[number % len(chats)] if chats else invented for number in range(AROUSES)]
    place = site.feed(unb).acked_pts
    entries = []
    for cid, buyer_id, item_id in chosen:
        item = (item_id, site.world.items[item_id].title if item_id in site.world.items else "宝贝")
        payload = session_arouse(cid, seller_id=unb, buyer_id=buyer_id, item=item, text="还在吗", at_ms=now_ms)
        entries.append(Entry(place, now_ms, codec.encode_json(payload), object_type=codec.AROUSE))
    return entries


async def im_endpoint(websocket: WebSocket) -> None:
    """Serve one socket."""
    site: Site = websocket.app.state.site
    header = websocket.headers.get("cookie", "")
    cookies = parse_cookies(header)
    unb = cookies.get("unb", "")
    feed = site.feed(unb)
    feed.handshakes += 1
    if site.faults.take("handshake_refused", unb):
        await websocket.send_denial_response(PlainTextResponse("Bad Gateway", 502))
        return
    await websocket.accept()
    feed.cookie = header
    abort = getattr(websocket.state, "abort", None)
    if site.world.policy.rules and refuse_handshake(site, websocket.headers, unb, cookies):
        await websocket.close(1008)
        return
    await Socket(site, websocket, next(site.socket_numbers), unb, unb, abort).live()
