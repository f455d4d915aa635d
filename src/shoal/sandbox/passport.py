"""The passport of the site: is a login alive, renew it silently, keep it (docs/protocol.md §2.7, docs/sandbox.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shoal.sandbox.mtop_site import broken_answer, log_call, parse_cookies, set_cookies
from shoal.sandbox.site import Site
from shoal.sandbox.strict.checks import at_risk
from shoal.sandbox.strict.http import look
from shoal.sandbox.things import Session

_PUNISH_URL = "//passport.goofish.com/newlogin/hasLogin.do/_____tmd_____/punish?x5secdata=sandbox&x5step=2"
LONG_LOGIN_MS: Final = 30 * 86_400_000
"""how long a kept login can be renewed"""
BACKUP_MS: Final = 7 * 86_400_000
"""how long a login that was not kept can be renewed"""
DAY_MS: Final = 86_400_000


async def form_of(request: Request) -> dict[str, str]:
    """Return the parameters of a call: its query and its form."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(request.query_params) | dict(parse_qsl(body, keep_blank_values=True))


def answer(success: bool, data: dict[str, Any], *, has_error: bool = False) -> JSONResponse:
    """Return an answer in the passport's form."""
    return JSONResponse({"content": {"success": success, "status": 0, "data": data}, "hasError": has_error})


async def has_login_endpoint(request: Request) -> Response:
    """Answer whether the login is valid, and renew the small cookies around it (docs/protocol.md §2.2)."""
    site: Site = request.app.state.site
    form = await form_of(request)
    cookies = parse_cookies(request.headers.get("cookie", ""))
    account = cookies.get("unb", "")
    if broken := broken_answer(site, account, "haslogin"):
        return broken
    look(request, "hasLogin.do", cookies)
    if at_risk(site, account, "haslogin", cookies, request.headers.get("user-agent", "")):
        log_call(site, "hasLogin.do", cookies, "FAIL_SYS_USER_VALIDATE")
        return JSONResponse({"rgv587_flag": "sm", "url": _PUNISH_URL})
    session = site.world.session_of(cookies)
    gone = _ended_by_fault(site, cookies, "haslogin")
    good = session is not None and not gone and _names(form, session)
    log_call(site, "hasLogin.do", cookies, "SUCCESS" if good else "FAIL")
    await site.faults.detain(account, "haslogin")
    if not good or session is None:
        return answer(False, {})
    response = answer(True, {"loginResult": "success"})
    set_cookies(request, response, site.world.rotate_cookie(session, "_tb_token_", site.world.hex(13), drop_old=False))
    return response


def _names(form: dict[str, str], session: Session) -> bool:
    return (form.get("hid"), form.get("hsiz")) == (session.unb, session.cookie2)


def _ended_by_fault(site: Site, cookies: dict[str, str], which: str) -> bool:
    expired = site.faults.find("session_expired", cookies.get("unb", ""), which)
    return expired is not None and cookies.get("cookie2") in expired.options.get("_logins", ())


async def silent_has_login_endpoint(request: Request) -> Response:
    """Renew a login that has ended, when the site still remembers it.

    It does so for a kept login with ``ltl=true``, and for any other for a week with ``skipSessionFilter`` and ``c2r``.
    """
    site: Site = request.app.state.site
    query, cookies = request.query_params, parse_cookies(request.headers.get("cookie", ""))
    account = cookies.get("unb", "")
    if broken := broken_answer(site, account, "silent"):
        return broken
    look(request, "silentHasLogin.do", cookies)
    session = site.world.sessions.get(cookies.get("cookie2", ""))
    if site.strict.has("silent_query") and (why := _odd_silent_query(query)):
        site.strict.add("silent_query", "silentHasLogin.do", account, why, refused=True)
        session = None
    now, world = site.clock.now_ms(), site.world
    if session and (not session.alive or session.unb != account or _ended_by_fault(site, cookies, "silent")):
        session = None
    kept = session is not None and query.get("ltl") == "true" and session.kept_until_ms > now
    backed = session is not None and (query.get("skipSessionFilter"), query.get("c2r")) == ("true", "true")
    backed = backed and session is not None and session.backup_until_ms > now
    renewed = session if session and (kept or backed or not session.is_over(now)) else None
    log_call(site, "silentHasLogin.do", cookies, "SUCCESS" if renewed else "FAIL")
    await site.faults.detain(account, "silent")
    if renewed is None:
        return answer(False, {"processFinished": True, "resultCode": 101})
    world.prolong(renewed)
    response = answer(True, {"processFinished": True, "resultCode": 100})
    fresh = {"unb": renewed.unb, "sgcookie": f"E100{world.hex(64)}", "csg": world.hex(8)}
    set_cookies(request, response, world.keep_cookies(renewed, fresh | {"sdkSilent": str(now + DAY_MS)}))
    return response


def _odd_silent_query(query: Mapping[str, str]) -> str:
    wanted = {"appName": "xianyu", "appEntrance": "xianyu_sdkSilent", "fromSite": "0"}
    odd = [name for name, value in wanted.items() if query.get(name) != value]
    odd += [] if query.get("documentReferer", "").startswith("https://www.goofish.com/") else ["documentReferer"]
    return f"{' '.join(odd)} not as the page says" if odd else ""


async def set_login_settings_endpoint(request: Request) -> Response:
    """Keep a login (``status=0``) or stop keeping it (``status=1``)."""
    site: Site = request.app.state.site
    form, cookies = await form_of(request), parse_cookies(request.headers.get("cookie", ""))
    if broken := broken_answer(site, cookies.get("unb", ""), "set_login"):
        return broken
    look(request, "setLoginSettings.do", cookies)
    session = site.world.session_of(cookies)
    good = session is not None and form.get("status") in ("0", "1")
    log_call(site, "setLoginSettings.do", cookies, "SUCCESS" if good else "FAIL")
    await site.faults.detain(cookies.get("unb", ""), "set_login")
    if session is None or not good:
        return JSONResponse({"content": {"success": False, "status": 0}, "data": {"success": False}, "hasError": False})
    keep = form["status"] == "0"
    session.kept_until_ms = site.clock.now_ms() + LONG_LOGIN_MS if keep else 0
    response = JSONResponse({"content": {"success": True, "status": 0}, "data": {"success": True}, "hasError": False})
    if keep:
        changes = {"havana_lgc2_77": site.world.hex(48), "havana_lgc_exp": str(session.kept_until_ms)}
    else:
        changes = {"havana_lgc2_77": "", "havana_lgc_exp": ""}
    set_cookies(request, response, site.world.keep_cookies(session, changes))
    return response


async def query_login_settings_endpoint(request: Request) -> Response:
    """Answer whether a login can be kept, and whether it is."""
    site: Site = request.app.state.site
    cookies = parse_cookies(request.headers.get("cookie", ""))
    if broken := broken_answer(site, cookies.get("unb", ""), "query_login"):
        return broken
    look(request, "queryLoginSettings.do", cookies)
    session = site.world.session_of(cookies)
    log_call(site, "queryLoginSettings.do", cookies, "SUCCESS" if session else "FAIL")
    await site.faults.detain(cookies.get("unb", ""), "query_login")
    if session is None:
        return answer(False, {})
    kept = session.kept_until_ms > site.clock.now_ms()
    return answer(True, {"returnValue": {"canOpenLongLogin": True, "hasLongTokenLogin": kept}})
