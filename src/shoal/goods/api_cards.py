"""Cards that call an address, as the older system configures them: the same as settings of a supplier."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from shoal.errors import InvalidInput
from shoal.strict_json import read_json


def supplier_values(sent: dict[str, Any] | str) -> dict[str, Any]:
    """Return the settings of a supplier for a card. Raises ``InvalidInput`` (``bad_api_config``)."""
    config = _json(sent)
    if not isinstance(config, dict) or not isinstance(config.get("url"), str):
        raise InvalidInput("no configuration of an API", code="bad_api_config")
    headers, params = _json(config.get("headers") or {}), _json(config.get("params") or {})
    if not isinstance(headers, dict) or not isinstance(params, dict):
        raise InvalidInput("headers and params are objects", code="bad_api_config")
    method = str(config.get("method") or "GET").upper()
    url, body = config["url"], ""
    if params and method == "GET":
        query = "&".join(f"{quote(str(name))}={quote(str(value), safe='{}')}" for name, value in params.items())
        url = f"{url}{'&' if '?' in url else '?'}{query}"
    elif params:
        body = json.dumps(params, ensure_ascii=False)
    seconds = config.get("timeout") or 20
    return {
        "url": url,
        "method": method,
        "headers": {str(name): str(value) for name, value in headers.items()},
        "body": body,
        "code_path": str(config.get("code_path", "data")),
        "timeout_seconds": min(max(int(seconds), 1), 60) if isinstance(seconds, int | float) else 20,
    }


def _json(sent: Any) -> Any:
    try:
        return read_json(sent) if isinstance(sent, str) else sent
    except (ValueError, RecursionError):
        raise InvalidInput("no JSON", code="bad_api_config") from None
