"""A stand-in for a seller's supplier: sells codes by HTTP, and fails on demand. It has nothing to do with the site.

``POST /supplier/orders`` sells one code; the same ``Idempotency-Key`` gets the same code again. ``GET
/supplier/orders/{key}`` says what became of an order. What was asked and sold stands at ``GET /_sandbox/supplier``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from shoal.sandbox.journal import Journal

SupplierFault = Literal[
    "", "slow", "429", "500", "201", "closed", "no_code", "refused", "redirect", "large", "same_code"
]
"""What the next calls meet.

``slow``: answered after ``seconds``, or at the next change; with ``sells`` sold before. ``201``: taken, and the
code comes later by the query. ``closed``: sold, and the connection ends without an answer. ``no_code``: an answer of
success without a code; nothing is sold. ``500``: sold or not, by ``sells``.
"""
_JOURNAL: Final = 10_000


@dataclass(slots=True)
class Sale:
    """What was sold under one key. ``times``: how often it was ordered."""

    code: str
    order_id: str = ""
    times: int = 1

    def view(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"code": self.code, "order_id": self.order_id, "times": self.times}


@dataclass(slots=True)
class Counter:
    """The counter of a supplier: its faults, its sales by key, and the calls that it got."""

    fault: SupplierFault = ""
    times: int = 0
    seconds: float = 0.0
    sells: bool = False
    query: bool = True
    sales: dict[str, Sale] = field(default_factory=dict)
    calls: Journal = field(default_factory=lambda: Journal(_JOURNAL))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what holds a slow answer back is over."""

    def lay(self, fault: SupplierFault, *, times: int, seconds: float, sells: bool, query: bool) -> None:
        """Lay a fault out for the next calls; an empty one ends it."""
        self.fault, self.times, self.seconds, self.sells, self.query = fault, times, seconds, sells, query
        self.close()

    def close(self) -> None:
        """Let go of the answers that are held back."""
        self.changed.set()
        self.changed = asyncio.Event()

    def take(self) -> str:
        """Return the fault that this call meets."""
        if not self.fault or self.times == 0:
            return ""
        self.times -= 1
        return self.fault

    def sell(self, key: str, order_id: str, *, same: bool = False) -> Sale:
        """Sell a code, or the same one again for a key that was sold."""
        if key in self.sales:
            self.sales[key].times += 1
        else:
            number = len(self.sales) if same and self.sales else len(self.sales) + 1
            self.sales[key] = Sale(f"SUPPLIED-{number:06d}", order_id)
        return self.sales[key]

    def view(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "fault": self.fault if self.times else "",
            "sold": {key: sale.view() for key, sale in self.sales.items()},
            "calls": self.calls.after(0),
        }


def _counter(request: Request) -> Counter:
    counter: Counter = request.app.state.site.supplier
    return counter


async def _order(request: Request) -> Response:
    counter = _counter(request)
    key, sent = request.headers.get("idempotency-key", ""), await request.body()
    fault = counter.take()
    counter.calls.add(what="order", key=key, headers=dict(request.headers), body=sent.decode(), fault=fault)
    if not key:
        return JSONResponse({"error": "no Idempotency-Key"}, 400)
    order_id = _order_id(request.query_params, sent)
    sold = {"code": 0, "data": {"cards": [{"code": ""}]}}
    if fault == "slow":
        if counter.sells:
            counter.sell(key, order_id)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(counter.changed.wait(), counter.seconds)
    if fault in {"429", "refused", "no_code", "redirect", "large"} or (fault == "500" and not counter.sells):
        return _refusal(fault)
    sale = counter.sell(key, order_id, same=fault == "same_code")
    sold["data"] = {"cards": [{"code": sale.code}]}
    if fault == "closed":
        return StreamingResponse(_cut_off(), headers={"content-length": "100"})
    if fault == "500":
        return JSONResponse({"error": "internal"}, 500)
    return JSONResponse({"code": 0, "data": {"state": "accepted"}}, 201) if fault == "201" else JSONResponse(sold)


def _refusal(fault: str) -> Response:
    bodies: dict[str, Response] = {
        "429": JSONResponse({"error": "slow down"}, 429),
        "500": JSONResponse({"error": "internal"}, 500),
        "refused": JSONResponse({"error": "no such product"}, 404),
        "no_code": JSONResponse({"code": 7, "msg": "余额不足"}),
        "redirect": Response(status_code=302, headers={"location": "/supplier/elsewhere"}),
        "large": Response('"' + "x" * (1 << 20) + '"', media_type="application/json"),
    }
    return bodies[fault]


async def _cut_off() -> Any:
    yield b'{"code"'
    raise ConnectionResetError("the supplier ends the connection after the order")


def _order_id(query: Mapping[str, str], sent: bytes) -> str:
    try:
        body = json.loads(sent)
    except ValueError:
        body = {}
    found = body.get("order", "") if isinstance(body, dict) else ""
    return str(found or query.get("order", ""))


async def _look_up(request: Request) -> Response:
    counter, key = _counter(request), request.path_params["key"]
    counter.calls.add(what="query", key=key, headers=dict(request.headers), body="", fault="")
    if not counter.query:
        return JSONResponse({"error": "internal"}, 500)
    sale = counter.sales.get(key)
    if sale is None:
        return JSONResponse({"error": "no such order"}, 404)
    return JSONResponse({"code": 0, "data": {"cards": [{"code": sale.code}]}})


async def _elsewhere(request: Request) -> Response:
    counter = _counter(request)
    counter.calls.add(what="elsewhere", key="", headers=dict(request.headers), body="", fault="")
    return JSONResponse({"code": 0, "data": {"cards": [{"code": "FROM-ELSEWHERE"}]}})


async def _view(request: Request) -> Response:
    return JSONResponse(_counter(request).view())


def supplier_routes() -> list[Route]:
    """Return the routes of the supplier, and the one that shows what it did. ``POST /_sandbox/supplier`` is a lever."""
    return [
        Route("/supplier/orders", _order, methods=["GET", "POST", "PUT"]),
        Route("/supplier/orders/{key}", _look_up),
        Route("/supplier/elsewhere", _elsewhere, methods=["GET", "POST"]),
        Route("/_sandbox/supplier", _view),
    ]
