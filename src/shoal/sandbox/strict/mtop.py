"""The strict rules of mtop calls: time, api, query, device, pace, and a check that only a new proof ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from shoal.sandbox.site import Site
from shoal.sandbox.strict.http import look
from shoal.sandbox.things import Session

TOKEN_API: Final = "mtop.taobao.idlemessage.pc.login.token"  # noqa: S105 - the name of an api
VALIDATE: Final = ("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!")
ILLEGAL: Final = ("FAIL_SYS_ILLEGAL_ACCESS::非法请求",)
NOT_FOUND: Final = ("FAIL_SYS_API_NOT_FOUNDED::请求API不存在",)
TEN_MINUTES_MS: Final = 600_000
_VERSIONS: Final = {"mtop.taobao.idlemessage.pc.session.sync": ("1.0", "3.0")}
"""of the apis that are not at 1.0"""
KEYS: Final = (
    "jsv", "appKey", "t", "sign", "v", "type", "accountSite", "dataType", "timeout", "api", "sessionOption",
)  # fmt: skip
"""the eleven keys of the query"""


class StrictCall:
    """One mtop call, as the rules look at it."""

    def __init__(self, request: Request, session: Session | None, cookies: dict[str, str], text: str) -> None:
        self.request, self.session, self.cookies, self._text = request, session, cookies, text
        self.site: Site = request.app.state.site
        self.api, self.version = request.path_params["api"], request.path_params["version"]
        self.is_signed = bool(request.query_params.get("sign"))
        """the calls of a visit need not be"""

    @property
    def device_id(self) -> str:
        """Return the device id of a token call."""
        try:
            return str(json.loads(self._text)["deviceId"])
        except (ValueError, KeyError, TypeError):
            return ""

    def refusal(self) -> tuple[str, ...]:
        """Return the ``ret`` that refuses the call, or an empty tuple; record what the call breaks."""
        site = self.site
        if not site.world.policy.rules:
            return ()
        refused: tuple[str, ...] = ()
        for rule, ret, find in _RULES:
            if not site.strict.has(rule) or not (why := find(self)):
                continue
            site.strict.add(rule, self.api, self.cookies.get("unb", ""), why, refused=True)
            refused = refused or ret
        is_token = self.api == TOKEN_API
        if look(self.request, self.api, self.cookies, refuses=is_token):
            refused = refused or VALIDATE
        return refused


def _time(call: StrictCall) -> str:
    t, now = call.request.query_params.get("t", ""), call.site.clock.now_ms()
    if not call.is_signed or (t.isdecimal() and abs(int(t) - now) <= TEN_MINUTES_MS):
        return ""
    return f"t is {t!r} at {now}"


def _api(call: StrictCall) -> str:
    query = call.request.query_params
    if call.version not in _VERSIONS.get(call.api, ("1.0",)):
        return f"version {call.version}"
    if call.is_signed and (query.get("api"), query.get("v")) != (call.api, call.version):
        return f"{query.get('api')} {query.get('v')} in the query of {call.api} {call.version}"
    return ""


def _keys(call: StrictCall) -> str:
    missing = [name for name in KEYS if name not in call.request.query_params]
    return f"{' '.join(missing)} missing" if call.is_signed and missing else ""


def _own_device(call: StrictCall) -> str:
    if call.api != TOKEN_API or call.session is None or call.device_id.endswith(f"-{call.session.unb}"):
        return ""
    return "the device id is not the account's"


def _few_devices(call: StrictCall) -> str:
    if call.api != TOKEN_API or call.session is None:
        return ""
    most, devices = call.site.world.policy.devices_of_login, call.session.devices
    if call.device_id in devices or not call.device_id.endswith(f"-{call.session.unb}"):
        return ""
    if len(devices) >= most:
        return f"device id number {len(devices) + 1} of this login"
    devices.append(call.device_id)
    return ""


def _token_pace(call: StrictCall) -> str:
    if call.api != TOKEN_API or call.session is None:
        return ""
    policy, now, times = call.site.world.policy, call.site.clock.now_ms(), call.session.token_times
    times[:] = [at for at in times if at > now - 3_600_000]
    times.append(now)
    in_a_minute = sum(at > now - 60_000 for at in times)
    if in_a_minute > policy.tokens_a_minute or len(times) > policy.tokens_an_hour:
        return f"{in_a_minute} token calls in a minute, {len(times)} in an hour"
    return ""


_RULES: Final[tuple[tuple[str, tuple[str, ...], Callable[[StrictCall], str]], ...]] = (
    ("api", NOT_FOUND, _api),
    ("query_keys", ILLEGAL, _keys),
    ("time", ILLEGAL, _time),
    ("own_device", VALIDATE, _own_device),
    ("few_devices", VALIDATE, _few_devices),
    ("token_pace", VALIDATE, _token_pace),
)
