"""Checks a pasted cookie for the form; nothing is stored."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import WhoAddsShops
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.account_requests import CookieCheckBody
from shoal.api.schemas.responses import example, maybe_rfc3339
from shoal.xianyu.cookie_string import check_cookie, login_ends_at_ms

routes = Routes(tags=["accounts"])


class CookieFindings(BaseModel):
    """The seller of a cookie, and the names that it lacks.

    Without the required names the seller is not logged in; the site sends the renewable ones again by itself.
    """

    model_config = example(
        unb="2200000000001",
        missing_required=[],
        missing_renewable=["_m_h5_tk_enc"],
        fingerprint="1f0e9a3c",
        browser="Chrome 151, Windows",
        cookie_expires_at=None,
    )
    unb: str
    missing_required: list[str]
    missing_renewable: list[str]
    fingerprint: str
    browser: str
    """The browser that the cookie came from; empty when the text does not name it."""
    cookie_expires_at: str | None


@routes.post("/console/cookie-check", summary="Check a cookie", responses=problems(400, 401, 403, 413, 422, 503))
@ignores_keys
async def check_pasted_cookie(body: CookieCheckBody, _: WhoAddsShops) -> CookieFindings:
    """Check a cookie in any of the known formats, without storing it."""
    found = check_cookie(body.value)
    return CookieFindings(
        unb=found.unb,
        missing_required=list(found.missing_required),
        missing_renewable=list(found.missing_renewable),
        fingerprint=found.fingerprint,
        browser=found.browser.name if found.browser is not None else "",
        cookie_expires_at=maybe_rfc3339(login_ends_at_ms(found.header)),
    )
