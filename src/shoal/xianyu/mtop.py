"""Signed HTTP calls to the site (docs/protocol.md §2).

No exception, message or ``repr`` of this file carries a cookie or a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from urllib.parse import quote

import aiohttp
import structlog

from shoal.errors import ActionRequired, CallUnknown, ComeBackLater, InvalidInput, ShoalError, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_jar import GATEWAY, cookies_set_by
from shoal.xianyu.cookie_string import SITE_DOMAIN, parse_cookie
from shoal.xianyu.identity import APP_KEY
from shoal.xianyu.item_page import ItemPage, read_item_page
from shoal.xianyu.mtop_reply import Meaning, Verdict, judge, risk_in_page, stop_in
from shoal.xianyu.order_detail import OrderDetail, read_order_detail
from shoal.xianyu.sign import MTOP_APP_KEY, sign, token_of
from shoal.xianyu.site_answer import bounded_body, without_secrets
from shoal.xianyu.site_session import ProxyFailed, code_of_failure, require_no_cookie_jar
from shoal.xianyu.site_time import SiteTime
from shoal.xianyu.stop_switch import StopSwitch
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

log = structlog.get_logger("shoal.mtop")

OBSERVED_TOKEN_SECONDS = 7200.0
"""The observed lifetime of a socket token; used when the site does not report one."""

_NO_ROOM = "rate_limited"
_MESSAGES, _HOME = "a21ybx.im.0.0", "a21ybx.home.0.0"
_ITEM, _ORDER = "a21ybx.item.0.0", "a21ybx.order-detail.0.0"
"""The site's pages that make these calls: ``spm_cnt`` in the query."""
_DIGITS = re.compile(r"[0-9]{1,32}")


class CookieSource(Protocol):
    """Where a client reads its cookie, and reports what the site changed in it."""

    def header(self, host: str = SITE_DOMAIN) -> str:
        """Return the cookies for a host of the site as one header line."""
        ...

    async def rotated(self, updates: dict[str, str]) -> None:
        """Store cookies that the site has set, by the keys of ``cookie_jar``; an empty value deletes.

        Some of them may be known, or be deletions of unknown ones: the site repeats itself.
        ``header()`` returns them afterwards. Must not raise when they cannot be stored: the call that brought them may
        have had an effect, and its caller must get the answer.
        """
        ...


class Renewal(Protocol):
    """Renews a login that has ended, once for all calls that met its end."""

    @property
    def count(self) -> int:
        """Return how many renewals have ended."""
        ...

    async def renewed(self, count: int) -> bool:
        """Renew the login unless that was done since ``count``; return whether it is renewed."""
        ...


class MtopRefused(ShoalError):
    """The site refused a call for a reason of its own; it would refuse the same call again."""

    code = "site_refused"

    def __init__(self, api: str, ret_code: str, ret_text: str) -> None:
        super().__init__(f"{api} was refused: {ret_code} {ret_text}", api=api, ret_code=ret_code, ret_text=ret_text)
        self.ret_code = ret_code
        self.ret_text = ret_text

    @property
    def denies_existence(self) -> bool:
        """Whether the site reports that the requested object does not exist; not that the API itself does not exist."""
        if self.ret_code.startswith("FAIL_SYS_"):
            return False
        return any(word in self.ret_code for word in ("NOT_FOUND", "NOT_EXIST")) or "不存在" in self.ret_text


class ApiGone(MtopRefused):
    """The site no longer offers a call that Shoal needs; only a newer Shoal helps."""

    code = "api_gone"


@dataclass(frozen=True, slots=True)
class ImToken:
    """A token for ``/reg``, bound to the device id of its request."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lifetime_seconds: float


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, before it is signed."""

    api: str
    version: str
    data_text: str = field(repr=False)
    extra_query: Mapping[str, str]
    irreversible: bool

    def broken_off(self, why: str) -> TemporaryFailure:
        """Return the error to raise when the request may have reached the site."""
        kind = CallUnknown if self.irreversible else TemporaryFailure
        return kind(f"{self.api}: {why}", api=self.api, why=why)

    def unanswered(self, why: str, code: str) -> TemporaryFailure:
        """Return the error to raise when the site certainly did nothing."""
        kind = ComeBackLater if code == _NO_ROOM else TemporaryFailure
        return kind(f"{self.api}: {why}", code=code, api=self.api)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An HTTP answer before it is interpreted. ``body`` is None when it was too large."""

    status: int
    location: str = field(repr=False)
    body: bytes | None = field(repr=False)


def _always() -> bool:
    return True


class MtopClient:
    """One account's signed calls, over a session that all accounts share (``open_site_session``)."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        cookies: CookieSource,
        *,
        browser: Browser,
        timeout_seconds: float = 20.0,
        site_time: SiteTime | None = None,
        stop_switch: StopSwitch | None = None,
        allows: Callable[[], bool] = _always,
        renewal: Renewal | None = None,
    ) -> None:
        """``stop_switch`` is shared with everything else that talks to the site for the same account.

        ``allows`` is called before each call, also before one is repeated: the account may have been disabled, or
        belong to another machine, since it was decided.
        ``renewal`` is asked once when the login has ended, before the call is repeated.
        """
        require_no_cookie_jar(session)
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._cookies = cookies
        self._browser = browser
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._site_time = site_time or SiteTime()
        self._stop_switch = stop_switch or StopSwitch()
        self._allows = allows
        self._renewal = renewal

    async def call(
        self,
        api: str,
        data_text: str,
        version: str = "1.0",
        extra_query: Mapping[str, str] | None = None,
        *,
        irreversible: bool = False,
    ) -> dict[str, object]:
        """Make one call and return its ``data``, an empty object when the reply has none.

        A stale signing token is renewed from the reply and the call is repeated once: the site did not carry out the
        first one. When the login has ended, the site is asked to renew it and the call is repeated once. Cookies that
        any reply sets go to ``CookieSource.rotated``. After an answer that requires the owner's
        action, this client makes no further calls.

        Raises ``ActionRequired`` (``risk_control`` with the address to open, or ``login_expired``), ``MtopRefused``, or
        ``TemporaryFailure``. When an ``irreversible`` call may have reached the site without a readable answer, the
        error is ``CallUnknown``.
        """
        with self._stop_switch.guarding():
            return await self._answered(_Call(api, version, data_text, extra_query or {}, irreversible))

    async def _answered(self, call: _Call) -> dict[str, object]:
        self._require_on(call)
        count = self._renewal.count if self._renewal is not None else 0
        reply, verdict = await self._asked(call)
        if verdict.meaning is Meaning.SESSION and self._renewal is not None and await self._renewal.renewed(count):
            self._require_on(call)
            reply, verdict = await self._asked(call)
        if verdict.meaning is not Meaning.OK:
            self._raise_for(call, verdict)
        data = reply.get("data")
        return data if isinstance(data, dict) else {}

    async def _asked(self, call: _Call) -> tuple[dict[str, object], Verdict]:
        """Make a call, and once more when its signing token was stale."""
        reply, verdict = await self._ask(call)
        if verdict.meaning is Meaning.TOKEN:
            self._require_on(call)
            reply, verdict = await self._ask(call)
        return reply, verdict

    def _require_on(self, call: _Call) -> None:
        if not self._allows():
            raise call.unanswered("the account may not be acted for any more", TemporaryFailure.code)

    async def im_token(self, device_id: str) -> ImToken:
        """Get a message socket token: the most risk-sensitive call, so keep the answer (§2.4)."""
        api = "mtop.taobao.idlemessage.pc.login.token"
        data_text = _compact({"appKey": APP_KEY, "deviceId": device_id})
        data = await self.call(api, data_text, extra_query=_on(_MESSAGES) | self._came_from())
        access, refresh = data.get("accessToken"), data.get("refreshToken")
        if not isinstance(access, str) or not access:
            raise TemporaryFailure(f"{api}: the reply has no token", code="bad_reply", api=api)
        return ImToken(
            access_token=access,
            refresh_token=refresh if isinstance(refresh, str) else "",
            lifetime_seconds=_lifetime_seconds(data.get("accessTokenExpiredTime")),
        )

    async def login_user(self) -> dict[str, object]:
        """Ask which user is logged in: a cheap check (§2.5)."""
        return await self.call("mtop.taobao.idlemessage.pc.loginuser.get", "{}", extra_query=_on(_MESSAGES))

    async def profile(self) -> tuple[str, str]:
        """Return the seller's name on the site and the address of the picture, empty where the site gives none."""
        data = await self.call("mtop.idle.web.user.page.nav", "{}", extra_query=_on(_HOME))
        module = data.get("module")
        base = module.get("base") if isinstance(module, dict) else None
        fields = base if isinstance(base, dict) else {}
        name, picture = (str(fields.get(key) or "").strip() for key in ("displayName", "avatar"))
        return name, picture

    async def item_page(self, item_id: str) -> ItemPage | None:
        """Return what an item's page says (§2.5); ``None`` when the answer is no page of it."""
        api, data_text = "mtop.taobao.idle.pc.detail", _compact({"itemId": _digits(item_id)})
        return read_item_page(await self.call(api, data_text, extra_query=_on(_ITEM)), item_id)

    async def order_detail(self, order_id: str) -> OrderDetail:
        """Return an order: what was bought, for how much, and its status (§2.6)."""
        data_text = _compact({"tid": _digits(order_id)})
        return read_order_detail(
            await self.call("mtop.idle.web.trade.order.detail", data_text, extra_query=_on(_ORDER))
        )

    async def confirm_shipment(self, order_id: str) -> None:
        """Mark an order of virtual goods as shipped (§2.5). Irreversible: see ``CallUnknown``."""
        data_text = f'{{"orderId":"{_digits(order_id)}", "tradeText":"","picList":[],"newUnconsign":true}}'
        api = "mtop.taobao.idle.logistic.consign.dummy"
        await self.call(api, data_text, extra_query=_on(_ORDER), irreversible=True)

    async def free_shipping(self, order_id: str, item_id: str, buyer_id: str) -> None:
        """Complete a group-price order (§2.5). Irreversible: see ``CallUnknown``."""
        data_text = f'{{"bizOrderId":"{_digits(order_id)}", "itemId":{_digits(item_id)},"buyerId":{_digits(buyer_id)}}}'
        api = "mtop.idle.groupon.activity.seller.freeshipping"
        await self.call(api, data_text, extra_query=_on(_ORDER), irreversible=True)

    def _came_from(self) -> dict[str, str]:
        """Return from where the owner came to the page, as the pasted call has it; it is never invented."""
        words = {"spm_pre": self._browser.spm_pre, "log_id": self._browser.log_id}
        return {name: word for name, word in words.items() if word}

    async def _ask(self, call: _Call) -> tuple[dict[str, object], Verdict]:
        self._stop_switch.check()
        answer = await self._exchange(call)
        reply = _readable(call, answer)
        return reply, judge(reply)

    async def _exchange(self, call: _Call) -> _Answer:
        header = self._cookies.header(GATEWAY)
        token = token_of(parse_cookie(header) if header.strip() else {})
        changed: dict[str, str] = {}
        try:
            return await self._post(call, header, token, changed)
        except ProxyFailed as failure:
            raise call.unanswered(str(failure), failure.code) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as failure:
            # "from None": aiohttp's errors refer to the request, and so to the cookie.
            raise call.unanswered(f"no connection ({type(failure).__name__})", code_of_failure(failure)) from None
        except (aiohttp.ClientError, OSError) as failure:
            raise call.broken_off(f"no answer ({type(failure).__name__})") from None
        finally:
            if changed:
                await self._cookies.rotated(changed)

    async def _post(self, call: _Call, header: str, token: str, changed: dict[str, str]) -> _Answer:
        await self._site_time.ask(self._session, self._base_url, self._browser)
        t = str(self._site_time.now_ms())
        async with self._session.post(
            f"{self._base_url}/h5/{quote(call.api)}/{quote(call.version)}/",
            params=_query(call, t, sign(token, t, call.data_text)),
            data={"data": call.data_text},
            headers=self._headers(header),
            allow_redirects=False,
            timeout=self._timeout,
        ) as response:
            changed.update(cookies_set_by(response))
            self._site_time.note_answer(response.headers)
            return _Answer(
                status=response.status,
                location=response.headers.get("Location", ""),
                body=await bounded_body(response),
            )

    def _headers(self, cookie: str) -> dict[str, str]:
        headers = self._browser.call_headers("application/json") | {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        return headers | {"Cookie": cookie} if cookie else headers

    def _raise_for(self, call: _Call, verdict: Verdict) -> NoReturn:
        match verdict.meaning:
            case Meaning.RISK:
                raise ActionRequired("risk_control", action_url=verdict.url)
            case Meaning.SESSION:
                raise ActionRequired("login_expired")
            case Meaning.TOKEN:
                raise call.unanswered("the site rejects the token that it has just renewed", "token_rejected")
            case Meaning.BUSY:
                raise call.unanswered("the site has no room", _NO_ROOM)
            case Meaning.GONE:
                log.error("the site no longer offers a call; look for a newer Shoal", api=call.api)
                raise ApiGone(call.api, verdict.code, self._harmless(verdict.text))
            case Meaning.REFUSED:
                raise MtopRefused(call.api, self._harmless(verdict.code), self._harmless(verdict.text))
            case _:
                raise call.broken_off("the site's answer has no clear verdict")

    def _harmless(self, site_text: str) -> str:
        return without_secrets(site_text, self._cookies.header())


def _on(page: str) -> dict[str, str]:
    return {"spm_cnt": page}


def _query(call: _Call, t: str, signature: str) -> dict[str, str]:
    return {
        "jsv": "2.7.2",
        "appKey": MTOP_APP_KEY,
        "t": t,
        "sign": signature,
        "v": call.version,
        "type": "originaljson",
        "accountSite": "xianyu",
        "dataType": "json",
        "timeout": "20000",
        "api": call.api,
        "sessionOption": "AutoLoginOnly",
        **call.extra_query,
    }


def _readable(call: _Call, answer: _Answer) -> dict[str, object]:
    """Return the reply's object. Raises for an answer that is not one."""
    stop = stop_in(answer.status, answer.location, answer.body)
    if stop is not None and stop.reason == "risk_control":  # a login that is gone may be renewed
        raise stop
    if answer.status == 429:
        raise call.unanswered("the site has no room (HTTP 429)", _NO_ROOM)
    if answer.status >= 500 or answer.status < 200 or 300 <= answer.status < 400:
        raise call.broken_off(f"HTTP {answer.status}")
    if answer.body is None:
        raise call.broken_off("the answer is too large")
    try:
        return parse_json_object(answer.body)
    except UndecodableFrame:
        url = risk_in_page(answer.body)
        if url is not None:
            raise ActionRequired("risk_control", action_url=url) from None
        raise call.broken_off("the answer is not JSON") from None


def _lifetime_seconds(milliseconds: object) -> float:
    text = str(milliseconds)
    return int(text) / 1000 if _DIGITS.fullmatch(text) and int(text) > 0 else OBSERVED_TOKEN_SECONDS


def _compact(data: dict[str, object]) -> str:
    return json.dumps(data, separators=(",", ":"))


def _digits(text: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise InvalidInput("an id of the site is a number", code="malformed_id")
    return text
