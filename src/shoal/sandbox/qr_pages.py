"""QR logins: the form, the code, its status, the token of a confirmation, and the message page (docs/sandbox.md)."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from shoal.sandbox.mtop_site import broken_answer, log_call, parse_cookies, set_cookies
from shoal.sandbox.passport import BACKUP_MS, answer, form_of
from shoal.sandbox.qr_logins import QrLogin
from shoal.sandbox.site import Site
from shoal.sandbox.strict.browser import browser_of
from shoal.sandbox.strict.http import look

QR_LIFETIME_MS: Final = 300_000
_STATUSES: Final = {"SCANNED": "SCANED", "RISK": "CONFIRMED", "FACE": "CONFIRMED"}
"""Statuses in the site's spelling."""
_OF_A_LOGIN: Final = ("unb", "sgcookie", "tracknick", "csg")
"""the cookies that a confirmation brings, when ``cookie2`` came before"""


async def mini_login_endpoint(request: Request) -> Response:
    """Serve the first page of a QR login; the form data is in ``window.viewData``."""
    site: Site = request.app.state.site
    world, cookies = site.world, parse_cookies(request.headers.get("cookie", ""))
    look(request, "mini_login.htm", cookies)
    log_call(site, "mini_login.htm", cookies, "SUCCESS")
    data = {
        "appName": "xianyu",
        "appEntrance": "web",
        "_csrf_token": world.hex(22),
        "umidToken": world.hex(40),
        "isMobile": False,
        "lang": "zh_CN",
        "returnUrl": "",
        "fromSite": 77,
    }
    changes = {}
    if world.policy.cookie2_by_visit:
        data |= {"hsiz": cookies.get("cookie2", ""), "bizParams": "taobaoBizLoginFrom=web"}
        changes = {"XSRF-TOKEN": str(data["_csrf_token"]), "_tb_token_": world.hex(13)}
    view = json.dumps({"loginFormData": data})
    response = HTMLResponse(f"<html><body><script>window.viewData = {view};</script></body></html>")
    set_cookies(request, response, changes)
    return response


async def qr_generate_endpoint(request: Request) -> Response:
    """Begin a QR login (docs/protocol.md §2.9)."""
    site: Site = request.app.state.site
    if broken := broken_answer(site, "", "qr_generate"):
        return broken
    look(request, "qrcode/generate.do", parse_cookies(request.headers.get("cookie", "")))
    if site.faults.take("risk_control", None, "qr_generate"):
        log_call(site, "qrcode/generate.do", {}, "RISK")
        return RedirectResponse(f"{request.base_url}_____tmd_____/punish?x5secdata={site.world.hex(32)}", 302)
    log_call(site, "qrcode/generate.do", {}, "SUCCESS")
    await site.faults.detain(None, "qr_generate")
    login = site.qr_logins.begin(site.world.hex(32), site.clock.now_ms())
    code = f"https://passport.goofish.com/qrcodeCheck.htm?lgToken={login.ck}&_from=havana"
    return answer(True, {"t": login.t_ms, "ck": login.ck, "codeContent": code, "resultCode": 100})


async def qr_query_endpoint(request: Request) -> Response:
    """Return the status of a QR login; when confirmed, the cookies are sent by Set-Cookie, once.

    The fault ``answer_lost`` replaces that answer by a gateway's 502, and there is no second one; with ``delivered``
    the cookies are sent nevertheless.
    """
    site: Site = request.app.state.site
    form = await form_of(request)
    if broken := broken_answer(site, "", "qr_query"):
        return broken
    look(request, "qrcode/query.do", parse_cookies(request.headers.get("cookie", "")))
    login = site.qr_logins.get(form.get("ck", ""))
    if login is not None and (str(login.t_ms) != form.get("t") or _is_old(site, login)):
        login = None
    status = login.status if login else "EXPIRED"
    log_call(site, "qrcode/query.do", {"unb": login.unb if login else ""}, status)
    await site.faults.detain(None, "qr_query")
    if login and status == "CONFIRMED":
        return _confirmed(request, login)
    if login and status == "FACE":
        response = _wants_more(status, f"{request.base_url}iv/mini/normal_validate.htm?htoken={login.htoken}")
        set_cookies(request, response, {"iv_jar": login.iv_jar})
        return response
    if status == "RISK":
        url = f"https://passport.goofish.com/iv/mini/identity_verify.htm?htoken={site.world.hex(32)}"
        return _wants_more(status, url)
    failed = status == "HAS_ERROR"
    return answer(not failed, {} if failed else _data_of(status), has_error=failed)


def _data_of(status: str, **more: object) -> dict[str, Any]:
    return {"qrCodeStatus": _STATUSES.get(status, status), "resultCode": 100, **more}


def _wants_more(status: str, url: str) -> Response:
    return answer(True, _data_of(status, iframeRedirect=True, iframeRedirectUrl=url))


def _confirmed(request: Request, login: QrLogin) -> Response:
    site: Site = request.app.state.site
    lost = site.faults.take("answer_lost", None, "qr_query")
    login.status = "EXPIRED"
    if site.world.policy.qr_token:
        login.token = site.world.hex(32)
        return answer(True, _data_of("CONFIRMED", token=login.token))
    response = PlainTextResponse("Bad Gateway", 502) if lost else answer(True, _data_of("CONFIRMED"))
    give_login(request, response, login, silent=lost is not None and not lost.options.get("delivered"))
    return response


async def qr_token_endpoint(request: Request) -> Response:
    """Change the token of a confirmed QR login for its cookies, once."""
    site: Site = request.app.state.site
    form = await form_of(request)
    if broken := broken_answer(site, "", "qr_token"):
        return broken
    look(request, "login_token/login.do", parse_cookies(request.headers.get("cookie", "")))
    login = site.qr_logins.by("token", form.get("token", ""))
    log_call(site, "login_token/login.do", {"unb": login.unb if login else ""}, "SUCCESS" if login else "FAIL")
    await site.faults.detain(None, "qr_token")
    if login is None:
        return answer(False, {"resultCode": 101})
    response = answer(True, {"loginResult": "success", "resultCode": 100})
    login.token = ""
    give_login(request, response, login)
    return response


def give_login(request: Request, response: Response, login: QrLogin, *, silent: bool = False) -> None:
    """Log the seller of a QR login in and set the cookies of it, but not when the answer is lost (``silent``).

    When ``cookie2`` comes by the visit, the login belongs to the visitor of that ``cookie2``: a browser that has none
    gets a login that it cannot use.
    """
    site: Site = request.app.state.site
    world, seller = site.world, site.world.seller(login.unb)
    if not world.policy.cookie2_by_visit:
        session = world.login(seller)
        changes = seller.jar
    else:
        cookies = parse_cookies(request.headers.get("cookie", ""))
        visitor = world.visitors.pop(cookies.get("cookie2", ""), None)
        world.loose_tks.pop(cookies.get("_m_h5_tk", "").partition("_")[0], None)
        session = world.login(seller, visitor)
        if visitor is None and site.strict.has("visit_before_code"):
            site.strict.add("visit_before_code", "qrcode/query.do", seller.unb, "no cookie2 came before", refused=False)
        changes = {name: seller.jar[name] for name in _OF_A_LOGIN}
    session.browser = browser_of(request.headers)
    site.happened("logged_in", seller.unb)
    if not silent:
        set_cookies(request, response, changes)


async def message_page_endpoint(request: Request) -> Response:
    """Serve the message page, after one redirect; a browser that is logged in gets the cookies of a longer login."""
    site: Site = request.app.state.site
    cookies = parse_cookies(request.headers.get("cookie", ""))
    if broken := broken_answer(site, cookies.get("unb", ""), "message_page"):
        return broken
    if "from" not in request.query_params:
        return RedirectResponse("/im?from=login", 302)
    look(request, "im", cookies)
    session = site.world.session_of(cookies)
    log_call(site, "im", cookies, "SUCCESS" if session else "FAIL")
    await site.faults.detain(cookies.get("unb", ""), "message_page")
    response = HTMLResponse("<html><head><title>聊天_闲鱼</title></head><body><div id=content></div></body></html>")
    if session:
        session.backup_until_ms = site.clock.now_ms() + BACKUP_MS
        session.kept_until_ms = max(session.kept_until_ms, session.backup_until_ms)
        set_cookies(request, response, site.world.keep_cookies(session, site.world.long_cookies(session)))
    return response


def _is_old(site: Site, login: QrLogin) -> bool:
    return site.clock.now_ms() - login.t_ms > (2 if login.htoken else 1) * QR_LIFETIME_MS
