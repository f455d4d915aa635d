"""The figures of the server, for Prometheus. There is no such route unless the operator has set a token for it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from fastapi import Depends, HTTPException, Request, Response

from shoal.api.http.caller import TheServer, wrong_token
from shoal.api.http.openapi_errors import problems
from shoal.api.http.route_rules import Asks, RouteRule, reads_token, ruled
from shoal.api.http.routing import Routes
from shoal.api.metrics.whole_page import whole_page
from shoal.errors import Unauthenticated

if TYPE_CHECKING:
    from shoal.api.metrics.metrics import Metrics

routes = Routes(tags=["system"])

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = {"schema": {"type": "string"}}


@reads_token
@ruled(RouteRule(asks=Asks.NOTHING))
async def asks_for_its_own_token() -> None:
    """Mark a route that no user and no token of a user opens, but the operator's token for it."""


@routes.get(
    "/metrics",
    summary="Get figures for Prometheus",
    dependencies=[Depends(asks_for_its_own_token)],
    response_class=Response,
    responses={**problems(401, 404), 200: {"description": "The figures", "content": {"text/plain": _TEXT}}},
)
async def get_metrics(server: TheServer, request: Request) -> Response:
    """Return the figures in Prometheus' text format. Send the token of the setting `metrics_token` as a bearer.

    Without this setting the answer is 404. No figure names a shop, an item, a user, an order or a text.
    """
    wanted = server.settings.metrics_token
    metrics: Metrics | None = getattr(request.app.state, "metrics", None)
    if wanted is None or metrics is None:
        raise HTTPException(404)
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    sent = sent.strip()
    is_right = hmac.compare_digest(sent.encode(), wanted.get_secret_value().encode())
    if scheme.lower() != "bearer" or not is_right:
        raise (sent and await wrong_token(server, request)) or Unauthenticated()
    return Response(
        await whole_page(server, metrics), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    )
