"""The mtop gateway of the site (docs/protocol.md §1 and §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from shoal.sandbox.clock import wall_ms
from shoal.sandbox.faults import API_NAMES, Fault, short_name
from shoal.sandbox.mtop_apis import APIS, OPEN_APIS, SUCCESS, Call, Fail
from shoal.sandbox.site import Site
from shoal.sandbox.strict.checks import at_risk
from shoal.sandbox.strict.mtop import VALIDATE, StrictCall
from shoal.sandbox.things import Session

MTOP_APP_KEY: Final = "34839810"
COOKIE_DOMAIN: Final = ".goofish.com"

TOKEN_EMPTY: Final = "FAIL_SYS_TOKEN_EMPTY::令牌为空"  # noqa: S105 - a return code
TOKEN_EXPIRED: Final = "FAIL_SYS_TOKEN_EXOIRED::令牌过期"  # noqa: S105 - a return code, the site's spelling
SESSION_EXPIRED: Final = "FAIL_SYS_SESSION_EXPIRED::Session过期"
BAD_SIGN: Final = "ILLEGAL_REQUEST::非法请求签名错误"
RISK: Final = ("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!")


def parse_cookies(header: str) -> dict[str, str]:
    """Return the pairs of a cookie header, split on the first ``=`` (docs/protocol.md §1)."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, equals, value in pairs if equals}


def sign(tk: str, t: str, data: str) -> str:
    """Return the signature of a call (docs/protocol.md §2)."""
    text = f"{tk}&{t}&{MTOP_APP_KEY}&{data}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# -- how a call is answered ---------------------------------------------------------------------------------------


def _check(call: Call) -> Session | None:
    """Check a call as the site's gateway does: risk, then session, then ``_m_h5_tk``, then the signature."""
    site, which = call.site, short_name(call.api)
    risk = at_risk(site, call.account, which, call.cookies, call.agent)
    if risk:
        order = risk.options.get("order") if isinstance(risk, Fault) else None
        raise Fail(*_risk_ret(order), data={"url": punish_url(call.api)})
    expired = site.faults.find("session_expired", call.account, which)
    if expired and call.cookies.get("cookie2") in expired.options.get("_logins", ()):
        site.faults.play(expired)
        raise Fail(SESSION_EXPIRED)
    stale = site.faults.take("token_expired", call.account, which)
    if stale and call.session:
        call.session.tk_expires_ms = 0
    tk, tk_enc = call.cookies.get("_m_h5_tk", ""), call.cookies.get("_m_h5_tk_enc", "")
    tk = tk.partition("_")[0]
    if not tk or not tk_enc:
        call.set_cookies |= _new_tk(call)
        raise Fail(TOKEN_EMPTY)
    if stale or not site.world.tk_is_current(call.session, tk, tk_enc):
        call.set_cookies |= _new_tk(call)
        raise Fail(TOKEN_EXPIRED)
    if call.query.get("appKey") != MTOP_APP_KEY or call.query.get("sign") != sign(
        tk, call.query.get("t", ""), call.text
    ):
        raise Fail(BAD_SIGN)
    return call.session


def _new_tk(call: Call) -> dict[str, str]:
    world = call.site.world
    return world.renew_tk(call.session) if call.session else world.loose_tk()


def _risk_ret(order: object) -> tuple[str, ...]:
    return tuple(reversed(RISK)) if order == "rgv_first" else RISK


def punish_url(api: str) -> str:
    """Return the address of risk control's verification page."""
    return (
        f"https://h5api.m.goofish.com:443//h5/{api}/1.0/_____tmd_____/punish?x5secdata=sandbox&x5step=2&action=captcha"
    )


def _perform(call: Call, request: Request) -> dict[str, Any]:
    if strict := StrictCall(request, call.session, call.cookies, call.text).refusal():
        raise Fail(*strict, data={"url": punish_url(call.api)} if strict is VALIDATE else None)
    if call.api in OPEN_APIS and call.cookies.get("_m_h5_tk"):  # signed or not
        _give_visit(call)
    session = _check(call)
    if call.api in OPEN_APIS:
        return {}
    endpoint = APIS.get(call.api)
    if endpoint is None:
        raise Fail("FAIL_SYS_API_NOT_FOUNDED::请求API不存在")
    if session is None:
        raise Fail(SESSION_EXPIRED)
    rotation = call.site.faults.take("rotate_cookie", session.unb, short_name(call.api))
    if rotation:
        options = rotation.options
        call.set_cookies |= call.site.world.rotate_cookie(
            session,
            str(options.get("name") or "cookie2"),
            options.get("value"),
            drop_old=bool(options.get("drop_old", False)),
        )
    refusal = call.site.faults.take("business_error", session.unb, short_name(call.api))
    if refusal:
        raise Fail(str(refusal.options.get("reason") or "FAIL_BIZ_SYSTEM_ERROR::系统繁忙,请稍后重试"))
    try:
        return endpoint(call, session)
    except (TypeError, ValueError):
        raise Fail("FAIL_BIZ_PARAM_ERROR::参数错误") from None


def _give_visit(call: Call) -> None:
    """Give a browser that visits the home page the ``cookie2`` which a QR login makes a login."""
    if call.site.world.policy.cookie2_by_visit and not call.cookies.get("cookie2"):
        call.set_cookies["cookie2"] = call.site.world.visit().cookie2


async def mtop_endpoint(request: Request) -> Response:
    """Answer one mtop call (docs/protocol.md §2)."""
    site: Site = request.app.state.site
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    cookies = parse_cookies(request.headers.get("cookie", ""))
    api, version = request.path_params["api"], request.path_params["version"]
    text = form.get("data", request.query_params.get("data", ""))
    session, agent = site.world.session_of(cookies), request.headers.get("user-agent", "")
    site.base_url = str(request.base_url)
    call = Call(site, api, version, request.query_params, text, cookies, session, agent)
    which = short_name(api)
    broken = broken_answer(site, call.account, which)
    if broken:
        site.calls.add(**_call_line(call, [f"HTTP {broken.status_code}"]))
        return broken
    try:
        data, ret = _perform(call, request), [SUCCESS]
    except Fail as fail:
        data, ret = fail.data, fail.ret
    site.calls.add(**_call_line(call, ret))
    await site.faults.detain(call.account, which)
    response = JSONResponse({"api": api, "data": data, "ret": ret, "v": version})
    set_cookies(request, response, call.set_cookies)
    return response


def broken_answer(site: Site, account: str, which: str) -> Response | None:
    """Return the answer of the faults ``http_500`` and ``html_answer``, if one of them applies."""
    if fault := site.faults.take("answer", account, which):
        return _fault_answer(fault.options)
    if site.faults.take("http_500", account, which):
        return Response("Internal Server Error", 500, media_type="text/plain")
    page = site.faults.take("html_answer", account, which)
    if page:
        script = f'<script>location.href="{punish_url(which)}"</script>' if page.options.get("punish") else ""
        return HTMLResponse(f"<html><head><title>亲，访问被拒绝</title></head><body>哎哟喂{script}</body></html>")
    return None


def _fault_answer(options: dict[str, Any]) -> Response:
    """Return the answer that the fault ``answer`` describes."""
    status, location = int(options.get("status") or 200), options.get("location")
    if location:
        response: Response = Response(status_code=status if status != 200 else 302, headers={"location": location})
    elif options.get("ret"):
        api = {short: name for name, short in API_NAMES.items()}[options["which"]]
        body = {"api": api, "data": options.get("body") or {}, "ret": options["ret"], "v": "1.0"}
        response = JSONResponse(body, status)
    else:
        response = JSONResponse(options.get("body") or {}, status)
    for name, value in (options.get("set_cookies") or {}).items():
        response.headers.append("set-cookie", f"{name}={value};Path=/")
    return response


def _call_line(call: Call, ret: list[str]) -> dict[str, Any]:
    return {
        "at": call.site.clock.now_ms(),
        "wall_ms": wall_ms(),
        "account": call.account,
        "api": call.api,
        "ret": ret,
        "data": call.text,
        "cookie2": call.cookies.get("cookie2", ""),
    }


def set_cookies(request: Request, response: Response, cookies: Mapping[str, str]) -> None:
    """Set cookies raw: for a host of the site with its domain, for any other host (such as 127.0.0.1) without a domain.

    A client that keeps cookies by host must have the passport's cookies at the gateway too. An empty value deletes the
    cookie.
    """
    host = request.headers.get("host", "").partition(":")[0].lower()
    domain = f"Domain={COOKIE_DOMAIN};" if host.endswith(COOKIE_DOMAIN) else ""
    for name, value in cookies.items():
        age = 604800 if value else 0
        response.headers.append("set-cookie", f"{name}={value};{domain}Path=/;Max-Age={age}")
    site: Site = request.app.state.site
    if "_m_h5_tk" in cookies and site.world.policy.deletes_tk_elsewhere:
        for name in ("_m_h5_tk", "_m_h5_tk_enc"):
            response.headers.append("set-cookie", f"{name}=;Domain=m.goofish.com;Path=/;Max-Age=0")


def log_call(site: Site, api: str, cookies: Mapping[str, str], ret: str) -> None:
    """Log a call of an endpoint other than mtop in the log of calls."""
    site.calls.add(
        at=site.clock.now_ms(),
        wall_ms=wall_ms(),
        account=cookies.get("unb", ""),
        api=api,
        ret=[ret],
        data="",
        cookie2=cookies.get("cookie2", ""),
    )
