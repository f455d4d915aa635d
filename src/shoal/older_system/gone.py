"""What the older system can do and Shoal does not: answered with 410 and a sentence that says what to use.

These routes are not in the OpenAPI document; docs/api.md lists them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from fastapi import Depends, params

from shoal.api.http.caller import administrator, who_reads
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.errors import InvalidInput

routes = Routes(include_in_schema=False)

_SIGNED_IN: Final = Depends(who_reads)
_ADMINISTRATOR: Final = Depends(administrator)

GONE: Final[dict[str, tuple[params.Depends, tuple[str, ...]]]] = {
    "gone/captcha": (
        ANYBODY, ("POST /generate-captcha", "POST /verify-captcha", "POST /send-verification-code"),
    ),
    "gone/password_login": (_SIGNED_IN, ("POST /password-login", "GET /password-login/check/{session_id}")),
    "gone/refresh_cookies": (_SIGNED_IN, ("POST /qr-login/refresh-cookies",)),
    "gone/item_search": (_SIGNED_IN, ("POST /items/search", "POST /items/search_multiple")),
    "gone/items": (
        _SIGNED_IN, ("DELETE /items/batch", "PUT /items/{cid}/{item_id}", "DELETE /items/{cid}/{item_id}"),
    ),
    "gone/settings": (_SIGNED_IN, ("PUT /system-settings/{key}",)),
    "gone/user_settings": (_SIGNED_IN, ("PUT /user-settings/{key}",)),
    "unknown_user_setting": (_SIGNED_IN, ("GET /user-settings/{key}",)),
    "gone/clear_logs": (_SIGNED_IN, ("POST /logs/clear",)),
    "gone/log_files": (_ADMINISTRATOR, ("GET /admin/logs/export",)),
    "gone/risk_control_logs": (_ADMINISTRATOR, ("DELETE /risk-control-logs/{log_id}",)),
    "gone/backups": (_ADMINISTRATOR, ("GET /admin/backup/download", "POST /admin/backup/upload")),
    "gone/tables": (
        _ADMINISTRATOR, ("DELETE /admin/data/{table_name}", "DELETE /admin/data/{table_name}/{record_id}"),
    ),
    "gone/table_info": (_SIGNED_IN, ("GET /debug/keywords-table-info",)),
}  # fmt: skip
"""By the code of the answer: who gets it, and the routes. A user has no settings: each is answered with 404."""


def _refusal(code: str) -> Callable[[], Awaitable[NoReturn]]:
    async def gone() -> NoReturn:
        raise InvalidInput("Shoal does not do this", code=code)

    return gone


def _declare() -> None:
    for code, (who, targets) in GONE.items():
        for target in targets:
            method, path = target.split(" ")
            options: dict[str, Any] = {"methods": [method], "dependencies": [who], "response_model": None}
            routes.add_api_route(path, _refusal(code), **options)


_declare()
