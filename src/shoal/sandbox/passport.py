"""The passport of the site: the login check, and QR logins (docs/protocol.md §2)."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from shoal.sandbox.mtop_site import broken_answer, log_call, parse_cookies, set_cookies
from shoal.sandbox.site import Site

_PUNISH_URL = "//passport.goofish.com/newlogin/hasLogin.do/_____tmd_____/punish?x5secdata=sandbox&x5step=2"

QR_LIFETIME_MS: Final = 300_000


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    return dict(request.query_params) | dict(parse_qsl(body, keep_blank_values=True))


async def has_login_endpoint(request: Request) -> Response:
    """Answer whether the login is valid, and renew the small cookies around it (docs/protocol.md §2.2)."""
    site: Site = request.app.state.site
    form = await _form(request)
    cookies = parse_cookies(request.headers.get("cookie", ""))
    account = cookies.get("unb", "")
    broken = broken_answer(site, account, "haslogin")
    if broken:
        return broken
    if site.faults.take("risk_control", account, "haslogin"):
        log_call(site, "hasLogin.do", cookies, "FAIL_SYS_USER_VALIDATE")
        return JSONResponse({"rgv587_flag": "sm", "url": _PUNISH_URL})
    session = site.world.session_of(cookies)
    expired = site.faults.find("session_expired", account, "haslogin")
    gone = expired is not None and cookies.get("cookie2") in expired.options.get("_logins", ())
    good = (
        session is not None
        and not gone
        and (form.get("hid"), form.get("hsiz"))
        == (
            session.unb,
            session.cookie2,
        )
    )
    log_call(site, "hasLogin.do", cookies, "SUCCESS" if good else "FAIL")
    await site.faults.detain(account, "haslogin")
    if not good or session is None:
        return JSONResponse({"content": {"success": False, "status": 0, "data": {}}, "hasError": False})
    response = JSONResponse(
        {"content": {"success": True, "status": 0, "data": {"loginResult": "success"}}, "hasError": False}
    )
    set_cookies(request, response, site.world.rotate_cookie(session, "_tb_token_", site.world.hex(13), drop_old=False))
    return response


async def mini_login_endpoint(request: Request) -> Response:
    """Serve the first page of a QR login; the form data is in ``window.viewData``."""
    site: Site = request.app.state.site
    data = {
        "appName": "xianyu",
        "appEntrance": "web",
        "_csrf_token": site.world.hex(22),
        "umidToken": site.world.hex(40),
        "isMobile": False,
        "lang": "zh_CN",
        "returnUrl": "",
        "fromSite": 77,
    }
    view = json.dumps({"loginFormData": data})
    return HTMLResponse(f"<html><body><script>window.viewData = {view};</script></body></html>")


async def qr_generate_endpoint(request: Request) -> Response:
    """Begin a QR login (docs/protocol.md §2.9)."""
    site: Site = request.app.state.site
    broken = broken_answer(site, "", "qr_generate")
    if broken:
        return broken
    if site.faults.take("risk_control", None, "qr_generate"):
        log_call(site, "qrcode/generate.do", {}, "RISK")
        return RedirectResponse(f"{request.base_url}_____tmd_____/punish?x5secdata={site.world.hex(32)}", 302)
    log_call(site, "qrcode/generate.do", {}, "SUCCESS")
    await site.faults.detain(None, "qr_generate")
    t, ck = str(site.clock.now_ms()), site.world.hex(32)
    site.qr_logins[ck] = {"t": t, "status": "NEW", "unb": ""}
    while len(site.qr_logins) > 1_000:
        del site.qr_logins[next(iter(site.qr_logins))]
    code = f"https://passport.goofish.com/qrcodeCheck.htm?lgToken={ck}&_from=havana"
    data = {"t": int(t), "ck": ck, "codeContent": code, "resultCode": 100}
    return JSONResponse({"content": {"data": data, "status": 0, "success": True}, "hasError": False})


async def qr_query_endpoint(request: Request) -> Response:
    """Return the status of a QR login; when confirmed, the cookies are sent by Set-Cookie, once.

    The fault ``answer_lost`` replaces that answer by a gateway's 502, and there is no second one; with ``delivered``
    the cookies are sent nevertheless.
    """
    site: Site = request.app.state.site
    form = await _form(request)
    broken = broken_answer(site, "", "qr_query")
    if broken:
        return broken
    login = site.qr_logins.get(form.get("ck", ""))
    if login is None or login["t"] != form.get("t") or _is_old(site, login):
        login = {"status": "EXPIRED", "unb": ""}
    status = login["status"]
    log_call(site, "qrcode/query.do", {"unb": login["unb"]}, status)
    await site.faults.detain(None, "qr_query")
    data: dict[str, object] = {"qrCodeStatus": _SAID.get(status, status), "resultCode": 100}
    if status == "RISK":
        url = f"https://passport.goofish.com/iv/mini/identity_verify.htm?htoken={site.world.hex(32)}"
        data |= {"iframeRedirect": True, "iframeRedirectUrl": url}
    response: Response = JSONResponse({"content": {"data": data, "status": 0, "success": True}, "hasError": False})
    lost = site.faults.take("answer_lost", None, "qr_query") if status == "CONFIRMED" else None
    if lost:
        response = PlainTextResponse("Bad Gateway", 502)
    if status == "CONFIRMED":
        seller = site.world.seller(login["unb"])
        site.world.login(seller)
        if lost is None or lost.options.get("delivered"):
            set_cookies(request, response, seller.jar)
        login["status"] = "EXPIRED"
    return response


_SAID = {"SCANNED": "SCANED", "RISK": "CONFIRMED"}
"""Statuses in the site's spelling."""


def _is_old(site: Site, login: dict[str, str]) -> bool:
    return site.clock.now_ms() - int(login["t"]) > QR_LIFETIME_MS
