"""Checks whether a proxy reaches the site, before an account uses it. It stores nothing and sends no cookie."""

from __future__ import annotations

import time

import aiohttp
from pydantic import BaseModel

from shoal.accounts.diagnosis import PROXY_REASONS
from shoal.api.advice import advice_on
from shoal.api.http.caller import AcceptLanguage, TheServer, WhoAddsNamed
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import TRYING
from shoal.api.http.routing import Routes
from shoal.api.schemas.account_requests import ProxyCheckBody
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.connection.xianyu_live import proxy_timeout_seconds
from shoal.language.choice import Language, language_of
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.proxy import parse_proxy
from shoal.xianyu.site_session import ProxyFailed

routes = Routes(tags=["accounts"])


class ProxyFinding(BaseModel):
    """Whether the site answered and after how many milliseconds; else ``code`` is the reason, ``do`` what to do."""

    model_config = example(
        ok=False,
        milliseconds=0,
        code="proxy_refused",
        detail="代理 socks5://***@proxy.example.com:1080 拒绝连接；不会改为直接连接。",
        do="检查代理的用户名、密码和有效期；或为该店铺换一个代理。",
    )
    ok: bool
    milliseconds: int
    code: str
    detail: str
    do: str


@routes.post("/console/proxy-check", summary="Check a proxy", responses=TRYING)
@ignores_keys
async def check_proxy(
    body: ProxyCheckBody, server: TheServer, who: WhoAddsNamed, accept_language: AcceptLanguage = None
) -> ProxyFinding:
    """Connect to the site through a proxy once, without a cookie. Any answer of the site counts as success."""
    url = _proxy_of(body, server, who)
    began = time.monotonic()
    code = await _reach(server, url)
    milliseconds = round((time.monotonic() - began) * 1000)
    return _finding(url, code, milliseconds, language_of(accept_language))


def _proxy_of(body: ProxyCheckBody, server: Server, who: Principal) -> str:
    if body.proxy is not None:
        return parse_proxy(body.proxy.get_secret_value()).url
    if body.account is None:
        return ""
    return server.authorization.require(who, body.account, Permission.OWN).proxy


async def _reach(server: Server, url: str) -> str:
    """Send one request to the site. Return the code of the failure, or an empty text."""
    settings = server.settings
    limit = proxy_timeout_seconds(settings)
    timeout = aiohttp.ClientTimeout(total=settings.site_timeout_seconds)
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as direct,
            session_through(url, direct, connect_timeout_seconds=limit, outbound=server.outbound) as session,
            session.get(settings.site_mtop_url, allow_redirects=False, timeout=timeout),
        ):
            return ""
    except ProxyFailed as failure:
        return failure.code
    except (TimeoutError, aiohttp.ClientError, OSError):
        return "proxy_no_route" if url else "unreachable"


def _finding(url: str, code: str, milliseconds: int, language: Language) -> ProxyFinding:
    params = {"proxy": parse_proxy(url).shown if url else "", "milliseconds": milliseconds}
    detail, do = advice_on(f"advice.{_WORDS[code, bool(url)]}", language, params)
    return ProxyFinding(ok=not code, milliseconds=0 if code else milliseconds, code=code, detail=detail, do=do)


_WORDS = {
    ("", True): "proxy_works",
    ("", False): "site_answers",
    ("unreachable", False): "site_unreachable",
    **{(code, True): code for code in PROXY_REASONS},
}
