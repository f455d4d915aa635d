"""The face check of a QR login: a chain of pages, a second code, and the question whether it was passed.

The pages are those that other clients' tests show: ``normal_validate`` leads by its script to ``verify_modes``, which
leads to ``identity_verify`` with the code. All of them want the cookie ``iv_jar`` that came with the confirmation: who
opens them in another session gets no login.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from shoal.sandbox.mtop_site import broken_answer, log_call, parse_cookies
from shoal.sandbox.qr_logins import QrLogin
from shoal.sandbox.qr_pages import give_login
from shoal.sandbox.site import Site
from shoal.sandbox.strict.http import look

_OTHER_PAGES = {
    "sms": "<form action=\"/iv/mini/sms.do\"><input name=code placeholder='短信验证码'></form>",
    "slider": "<div id=nc_1_wrapper class=nc-container></div><script>noCaptcha.init({})</script>",
}


def _login(request: Request) -> QrLogin | None:
    """Return the login whose check this is, if the request comes from the session that was confirmed."""
    site: Site = request.app.state.site
    look(request, request.url.path.rpartition("/")[2], parse_cookies(request.headers.get("cookie", "")))
    login = site.qr_logins.by("htoken", request.query_params.get("htoken", ""))
    jar = parse_cookies(request.headers.get("cookie", "")).get("iv_jar")
    return login if login and login.iv_jar == jar else None


def _page(body: str) -> Response:
    return HTMLResponse(f"<html><head><title>身份验证</title></head><body>{body}</body></html>")


async def normal_validate_endpoint(request: Request) -> Response:
    """Lead to the choice of checks by a script."""
    site: Site = request.app.state.site
    if broken := broken_answer(site, "", "face_page"):
        return broken
    login = _login(request)
    log_call(site, "normal_validate.htm", {}, "SUCCESS" if login else "FAIL")
    if login is None:
        return _page("链接已失效")
    if login.page in _OTHER_PAGES:
        return _page(_OTHER_PAGES[login.page])
    url = f"{request.base_url}iv/mini/verify_modes.htm?htoken={login.htoken}&_umidfg="
    return _page(f'<script>window.location.href = "{url}";</script>')


async def verify_modes_endpoint(request: Request) -> Response:
    """Lead to the page with the code."""
    login = _login(request)
    if login is None:
        return _page("链接已失效")
    return RedirectResponse(f"/iv/mini/identity_verify.htm?htoken={login.htoken}", 302)


async def identity_verify_endpoint(request: Request) -> Response:
    """Show the second code, for the app of the seller."""
    login = _login(request)
    log_call(request.app.state.site, "identity_verify.htm", {}, "SUCCESS" if login else "FAIL")
    if login is None:
        return _page("链接已失效")
    code = f"https://passport.goofish.com/iv/face/scan.htm?htoken={login.htoken}&from=pc".replace("/", "\\/")
    return _page(f'<div id=qr></div><script>new Qrcode({{ render: "canvas", text: "{code}" }});</script>')


async def check_endpoint(request: Request) -> Response:
    """Answer whether the seller has passed: 0 wait, 3 done with the address to go on, else failed."""
    site: Site = request.app.state.site
    if broken := broken_answer(site, "", "face_check"):
        return broken
    login = _login(request)
    code = {"waiting": 0, "passed": 3}.get(login.face, 1) if login else 1
    log_call(site, "photoVerify/check.do", {"unb": login.unb if login else ""}, str(code))
    await site.faults.detain(None, "face_check")
    content: dict[str, object] = {"code": code}
    if login and code == 3:
        content["url"] = f"{request.base_url}ivCheckLogin.htm?htoken={login.htoken}"
    return JSONResponse({"content": content, "hasError": False})


async def check_login_endpoint(request: Request) -> Response:
    """Log the seller in whose check was passed in this session, once."""
    site: Site = request.app.state.site
    login = _login(request)
    passed = login is not None and login.face == "passed"
    log_call(site, "ivCheckLogin.htm", {"unb": login.unb if login else ""}, "SUCCESS" if passed else "FAIL")
    response = _page("ok")
    if login and passed:
        login.face, login.status = "", "EXPIRED"
        give_login(request, response, login)
    return response
