"""How other systems recognise the cards of a refund: facts about the site's cards that none of our words decided.

A card that the sandbox makes of a refund must be recognised here too, so that no test passes by words that only Shoal
and its own sandbox know. Where: ``order_status_handler.py`` of johenking/xianyu-ai-manager (2026-08) and of a further
client of the same family reads title and button of the changed card; the latter also reads ``taskName``.
"""

from __future__ import annotations

import json
from typing import Any, Final

REQUEST: Final = "我发起了退款申请"
"""The title of the request's card. It stays the same when the card comes again."""
BUTTONS: Final = {"已同意": "refunding", "已撤销": "refund_cancelled", "已拒绝": "as before"}
"""What each word on the button means for the order; a request that was refused changes nothing, they say."""
TASKS: Final = {"退款申请已同意": "refunding", "退款申请已撤销": "refund_cancelled"}
"""What parts of ``taskName`` mean."""


def recognised(content: str, extension: dict[str, str]) -> set[str]:
    """Return what the other systems make of a message: by its card, and by its task."""
    body = json.loads(content)
    found = {_of_card(main) for main in (_main(body), _main(_changed(body))) if main.get("title") == REQUEST}
    task = str(json.loads(extension["bizTag"]).get("taskName", ""))
    return (found | {meaning for part, meaning in TASKS.items() if part in task}) - {""}


def _of_card(main: dict[str, Any]) -> str:
    return BUTTONS.get(str(main.get("button", {}).get("text", "")), "")


def _changed(body: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = body.get("dynamicOperation", {}).get("changeContent", {})
    return changed


def _main(body: dict[str, Any]) -> dict[str, Any]:
    main: dict[str, Any] = body.get("dxCard", {}).get("item", {}).get("main", {}).get("exContent", {})
    return main
