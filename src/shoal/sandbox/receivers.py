"""Receivers of notices: every chat and push service as far as a sender sees it, with faults to lay out.

All of them are on the port of the site; a sender of the test is led there under the services' own names.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shoal.sandbox.bodies import Body, Name
from shoal.sandbox.bot_signatures import Asked, BotBody, refusal
from shoal.sandbox.clock import wall_ms

KEPT: Final = 50_000
"""how many notices are kept"""
ReceiverFault = Literal[
    "slow", "too_many", "http_500", "error_body", "closing", "redirect", "huge", "packed", "page", "echo"
]

_ANSWERS: Final[dict[str, tuple[Any, Any]]] = {
    "dingtalk": ({"errcode": 0, "errmsg": "ok"}, {"errcode": 310000, "errmsg": "keywords not in content"}),
    "feishu": ({"code": 0, "data": {}, "msg": "success"}, {"code": 19024, "msg": "Key Words Not Found"}),
    "lark": ({"code": 0, "data": {}, "msg": "success"}, {"code": 9499, "msg": "Bad Request"}),
    "wecom": ({"errcode": 0, "errmsg": "ok"}, {"errcode": 93000, "errmsg": "invalid webhook url"}),
    "bark": ({"code": 200, "message": "success"}, {"code": 400, "message": "failed to get device token"}),
    "pushplus": ({"code": 200, "msg": "请求成功", "data": "1"}, {"code": 903, "msg": "无效的用户token"}),
    "serverchan": ({"code": 0, "message": "", "data": {"error": "SUCCESS"}}, {"code": 40001, "message": "bad key"}),
    "wxpusher": (
        {"code": 1000, "msg": "处理成功", "success": True},
        {"code": 1001, "msg": "业务异常", "success": False},
    ),
    "telegram": ({"ok": True, "result": {"message_id": 1}}, {"ok": False, "description": "chat not found"}),
    "qq": ({"success": True, "reason": "操作成功", "code": 0}, {"success": False, "reason": "key错误", "code": 500}),
    "ntfy": ({"id": "sPs71M8A2T", "event": "message"}, {"code": 40004, "error": "topic invalid"}),
    "gotify": ({"id": 25, "appid": 5}, {"error": "Unauthorized", "errorCode": 401}),
    "webhook": ({"ok": True}, {"ok": False}),
}
"""Of each service the body of success, and of a failure that comes with HTTP 200."""


class ReceiverBody(Body):
    """Set a fault of one service, or of all; ``times`` how often it plays (else until it is cleared).

    ``seconds``: how slow, or the ``Retry-After``.
    """

    kind: ReceiverFault | Literal["none"]
    service: Name | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0


@dataclass(slots=True)
class LaidFault:
    """One fault that is laid out."""

    kind: ReceiverFault
    service: str | None
    left: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """One request that arrived. ``raw``: its body as it came; ``status``: what was answered, 0 for nothing."""

    seq: int
    service: str
    host: str
    target: str
    headers: dict[str, str]
    body: Any
    raw: str
    status: int
    wall_ms: int


@dataclass(slots=True)
class Receivers:
    """What arrived, in the order in which it came, and the faults."""

    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=KEPT))
    faults: list[LaidFault] = field(default_factory=list)
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    """what bots sign with, by service and token"""
    last_seq: int = 0
    asked_now: int = 0
    """how many requests wait for their answer"""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """set when the site ends: a slow answer waits no more"""

    def lay(self, body: ReceiverBody) -> None:
        """Lay out a fault in place of what was there for the same service."""
        self.faults = [fault for fault in self.faults if body.service is not None and fault.service != body.service]
        if body.kind != "none":
            self.faults.append(LaidFault(body.kind, body.service, body.times, body.seconds))

    def take(self, service: str) -> LaidFault | None:
        """Return the fault that plays now, if any, and count it."""
        for fault in self.faults:
            if fault.service in {None, service}:
                if fault.left is not None:
                    fault.left -= 1
                    if not fault.left:
                        self.faults.remove(fault)
                return fault
        return None

    def add(self, service: str, request: Request, raw: bytes, status: int) -> None:
        """Note a request."""
        self.last_seq += 1
        query = f"?{request.url.query}" if request.url.query else ""
        self.notices.append(
            Notice(
                seq=self.last_seq,
                service=service,
                host=request.headers.get("host", ""),
                target=f"{request.url.path}{query}",
                headers=dict(request.headers),
                body=_read(raw),
                raw=raw.decode("utf-8", "replace"),
                status=status,
                wall_ms=wall_ms(),
            )
        )


def _receivers(request: Request) -> Receivers:
    found: Receivers = request.app.state.site.receivers
    return found


def _endpoint(at_the_place: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        lark = request.headers.get("host", "").startswith("open.larksuite.com")
        service = "lark" if lark else at_the_place  # Feishu's service abroad has the same paths
        receivers, body = _receivers(request), await request.body()
        fault = receivers.take(service)
        if fault is not None and fault.kind == "slow":
            waiting = asyncio.create_task(receivers.ended.wait())
            receivers.asked_now += 1
            await asyncio.wait([waiting], timeout=fault.seconds)
            receivers.asked_now -= 1
            waiting.cancel()
        if fault is not None and fault.kind == "closing":
            receivers.add(service, request, body, 0)
            request.scope["state"]["abort"]()
            return Response()
        named = (*request.path_params.values(), request.query_params.get("access_token", ""))
        asked = Asked(request.query_params, request.headers, body, _read(body), wall_ms() / 1000)
        refused = refusal(receivers.secrets.get((service, named[0])), service, asked)
        if refused is not None:
            answer: Response = JSONResponse(*refused)
        else:
            answer = _answer(service, fault, {"target": str(request.url), "headers": dict(request.headers)})
        receivers.add(service, request, body, answer.status_code)
        return answer

    return endpoint


def _answer(service: str, fault: LaidFault | None, asked: dict[str, Any]) -> Response:
    good, bad = _ANSWERS[service]
    seconds = fault.seconds if fault is not None else 0.0
    answers: dict[str, Callable[[], Response]] = {
        "too_many": lambda: JSONResponse({"error": "too many requests"}, 429, {"Retry-After": f"{seconds:g}"}),
        "http_500": lambda: JSONResponse({"error": "internal"}, 500),
        "error_body": lambda: JSONResponse(bad),
        "redirect": lambda: RedirectResponse("http://169.254.169.254/latest/meta-data"),
        "huge": lambda: Response(b"x" * (8 << 20)),
        "packed": lambda: Response(_packed(), headers={"Content-Encoding": "gzip"}),
        "echo": lambda: JSONResponse({"bad request": asked}, 400),
        "page": lambda: Response("<html>Please log in to the network</html>", media_type="text/html"),
    }
    return answers.get(fault.kind if fault is not None else "", lambda: JSONResponse(good))()


@cache
def _packed() -> bytes:
    """Return 128 MiB of spaces as gzip packs them."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(128)) + packer.flush()


def _read(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return dict(parse_qsl(text)) or text


async def _received(request: Request) -> Response:
    after = int(request.query_params.get("after", "0"))
    receivers = _receivers(request)
    items = [asdict(notice) for notice in receivers.notices if notice.seq > after]
    return JSONResponse({"items": items, "last_seq": receivers.last_seq})


def lay_fault(site: Any, body: ReceiverBody) -> dict[str, Any]:
    """Carry out the lever ``receiver``."""
    receivers: Receivers = site.receivers
    receivers.lay(body)
    return {"faults": [asdict(fault) for fault in receivers.faults]}


def sign_bot(site: Any, body: BotBody) -> dict[str, Any]:
    """Carry out the lever ``bot``."""
    receivers: Receivers = site.receivers
    receivers.secrets[body.service, body.token] = body.secret
    return {"bots": [{"service": service, "token": token} for service, token in receivers.secrets]}


def receiver_routes() -> list[Route]:
    """Return the addresses of every service, and what they received."""
    places = {
        "/robot/send": "dingtalk",
        "/open-apis/bot/v2/hook/{token}": "feishu",
        "/open-apis/bot/v2/hook/{token}/": "feishu",
        "/cgi-bin/webhook/send": "wecom",
        "/push": "bark",
        "/send": "pushplus",
        "/{token}.send": "serverchan",
        "/api/send/message": "wxpusher",
        "/bot{token}/sendMessage": "telegram",
        "/send/{token}.send": "serverchan",
        "/send/{token}": "qq",
        "/api/send/message/simple-push": "wxpusher",
        "/": "ntfy",
        "/message": "gotify",
        "/hook/{name}": "webhook",
    }
    routes = [Route(place, _endpoint(service), methods=["POST"]) for place, service in places.items()]
    return [*routes, Route("/_sandbox/received", _received)]
