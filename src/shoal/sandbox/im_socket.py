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
from shoal.sandbox.mtop_site import IM_APP_KEY, RISK, parse_cookies, punish_url
from shoal.sandbox.site import Entry, Site
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
        """Refuse as risk control does, if a fault names this request; a fault without a name is for the gateway."""
        fault = self.site.faults.find("risk_control", self.unb, which)
        if fault is None or fault.options.get("which") != which:
            return None
        self.site.faults.play(fault)
        return 400, {"reason": RISK[0], "developerMessage": RISK[1], "url": punish_url(which)}

    def _reply(self, mid: str, which: str, answer: Answer) -> None:
        code, body = answer
        headers = {"mid": mid, "sid": self.sid}
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
            self.push([], "/s/vulcan")
        close = self.site.faults.find("close", self.unb)
        if close and close.options.get("when") == which:
            self.site.faults.play(close)
            self.close(int(close.options.get("code", 1000)))

    def _answer(self, lwp: str, frame: Frame) -> Answer | None:
        if lwp == "/reg":
            return self._register(frame["headers"])
        if lwp == "/!":
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

    def push(self, entries: list[Entry], lwp: str = "/s/sync", **extra: Any) -> None:
        """Send entries in one push and wait for their ack (docs/protocol.md §3)."""
        self.push_number += 1
        mid = f"p{self.number}x{self.push_number} 0"
        self.in_flight[mid] = entries
        while len(self.in_flight) > IN_FLIGHT:
            del self.in_flight[next(iter(self.in_flight))]
        now = self.site.clock.now_ms()
        data = [
            {
                "bizType": 40,
                "data": entry.data,
                "streamId": f"st{entry.pts}",
                "objectType": 40000,
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
        body = {"syncPushPackage": package, "syncExtensionModel": model, **extra}
        self.outbox.put_nowait({"lwp": lwp, "headers": {"mid": mid, "sid": self.sid}, "body": body})

    def notify(self, lwp: str, body: dict[str, Any]) -> None:
        """Send a push that is not a sync package."""
        self.push_number += 1
        mid = f"p{self.number}x{self.push_number} 0"
        self.outbox.put_nowait({"lwp": lwp, "headers": {"mid": mid, "sid": self.sid}, "body": body})


async def im_endpoint(websocket: WebSocket) -> None:
    """Serve one socket."""
    site: Site = websocket.app.state.site
    header = websocket.headers.get("cookie", "")
    unb = parse_cookies(header).get("unb", "")
    feed = site.feed(unb)
    feed.handshakes += 1
    if site.faults.take("handshake_refused", unb):
        await websocket.send_denial_response(PlainTextResponse("Bad Gateway", 502))
        return
    await websocket.accept()
    feed.cookie = header
    abort = getattr(websocket.state, "abort", None)
    await Socket(site, websocket, next(site.socket_numbers), unb, unb, abort).live()
