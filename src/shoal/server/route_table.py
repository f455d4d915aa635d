"""All modules of routes, and which branches of paths each of them has, so that it is imported when a path needs it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from fastapi import APIRouter
from starlette.routing import BaseRoute

from shoal.api.http.late_routes import Branch, LateRoutes

BRANCHES: Final[dict[str, str]] = {
    "api.routes.auth": "login/1 verify/1 logout/1 change-admin-password/1 register/1",
    "console.session": "console/2",
    "api.routes.me": "me/1 me/2 me/3 sessions/1 sessions/2",
    "api.routes.users": "users/1 users/2 users/3",
    "api.routes.tokens": "tokens/1 tokens/2 users/2 users/4",
    "api.routes.staff": "cookies/3 cookies/4 staff/1",
    "api.routes.invitations": "invitations/1 invitations/2 join/2 join/1",
    "api.routes.batch": "cookies/2",
    "api.routes.batch_edits": "cookies/2",
    "api.routes.shop_files": "shops.schema.json/1 export/1 apply/1",
    "api.routes.cookies": "cookies/1 cookies/2 cookies/3",
    "api.routes.cookie_settings": "cookies/3 cookie/3",
    "api.routes.rule_trial": "cookies/3",
    "api.routes.filter_trial": "cookies/4",
    "api.routes.reply_hook": "xianyu/2",
    "api.routes.items": "cookies/3 cookies/4",
    "api.routes.item_pages": "cookies/5",
    "api.routes.default_replies": "default-replies/1 default-replies/2 default-replies/3",
    "api.routes.item_replies": "itemReplays/1 itemReplays/3 item-reply/3 item-reply/2",
    "api.routes.keywords": (
        "keywords/2 keywords-with-item-id/2 keywords-with-type/2 keywords-export/2 keywords-import/2 "
        "keywords/3 keywords/4"
    ),
    "api.routes.rules": "cookies/3 cookies/4",
    "api.routes.rule_lists": "cookies/3 rules-file/1",
    "api.routes.deliveries": "cookies/3",
    "api.routes.delivery_check": "cookies/4",
    "api.routes.delivery_files": "cookies/4",
    "api.routes.buyers": "buyers/2",
    "api.routes.history": "history/1 cookies/3 history/3",
    "api.routes.batch_undo": "history/2",
    "api.routes.audit_log": "security-log/1",
    "api.routes.timeline": "cookies/3",
    "api.routes.diagnosis": "cookies/3",
    "api.routes.messages": "messages/1 cookies/5 sendings/1",
    "api.routes.chats": "chats/1 cookies/3 cookies/5",
    "api.routes.chat_work": "cookies/5 cookies/6",
    "api.routes.quick_replies": "quick-replies/1 quick-replies/2",
    "api.routes.item_cards": "cookies/5",
    "api.routes.send": "cookies/3 send-message/1",
    "api.routes.ai_runs": "ai-runs/1 ai-runs/2 ai-runs/3 ai-usage/1",
    "api.routes.ai_settings": "cookies/3",
    "api.routes.ai_trial": "cookies/4",
    "api.routes.activity": "activity/1",
    "api.routes.shop_counts": "activity/2",
    "api.routes.order_sums": "orders/2",
    "api.routes.orders": "api/2 orders/1 cookies/3 cookies/4 cookies/5",
    "api.routes.ops": "ops/2",
    "api.routes.events": "events/1",
    "api.routes.health": "health/1 health/2 system/2",
    "api.routes.metrics": "metrics/1",
    "api.routes.reload": "system/2",
    "api.routes.nodes": "",
    "api.routes.node_calls": "node-calls/2",
    "api.routes.node_events": "node-streams/2",
    "api.routes.system": "system/2",
    "api.routes.backups": "system/2 system/3",
    "api.routes.logs": "logs/1 logs/2 admin/2",
    "api.routes.keys": "system/2 system/3",
    "api.routes.seller_numbers": "seller-numbers/1 seller-numbers/2",
    "api.routes.goods": "goods/1 goods/2 goods/3",
    "api.routes.units": "goods/3 goods/5",
    "api.routes.suppliers": "goods/4",
    "api.routes.restock": "goods/3",
    "api.routes.cards": "cards/1 cards/2 cards/3 items/4",
    "api.routes.delivery_rules": "delivery-rules/1 delivery-rules/2",
    "api.routes.channels": "channels/2 channels/1 channels/3 subscriptions/1",
    "api.routes.notification_channels": (
        "notification-channels/1 notification-channels/2 message-notifications/1 message-notifications/2 "
        "message-notifications/3"
    ),
    "api.routes.known_items": "items/1 items/3 items/2",
    "api.routes.ai_reply_settings": "ai-reply-settings/1 ai-reply-settings/2 ai-reply-test/2",
    "api.routes.old_administration": "admin/2 admin/3",
    "api.routes.old_backups": "backup/2 admin/3",
    "api.routes.old_settings": (
        "system-settings/1 registration-status/1 registration-settings/1 login-info-status/1 "
        "login-info-settings/1 user-settings/1"
    ),
    "api.routes.old_tables": "admin/3",
    "api.routes.risk_control_logs": "admin/2 risk-control-logs/1",
    "api.routes.gone": (
        "generate-captcha/1 verify-captcha/1 send-verification-code/1 password-login/1 password-login/3 "
        "qr-login/2 items/2 items/3 system-settings/2 user-settings/2 logs/2 admin/3 risk-control-logs/2 "
        "admin/4 debug/2"
    ),
    "api.routes.incidents": "incidents/1 notices/1",
    "api.routes.push": "push/2 me/2",
    "api.routes.webhooks": "webhooks/1 webhooks/2 webhooks/3",
    "api.routes.ai_providers": "ai-providers/1 ai-providers/2 ai-providers/3",
    "api.routes.reference": "docs/1 openapi.json/1",
    "api.routes.pictures": "pictures/1 upload-image/1 static/4",
    "console.cookie_check": "console/2",
    "console.proxy_check": "console/2",
    "api.routes.qr_logins": "qr-logins/1 qr-logins/2 qr-login/2 qr-login/3",
    "api.routes.imports": "imports/3 imports/4 imports/1 imports/2",
    "console.live": "console/2",
    "console.routes": "",
    "console.help_pages": "",
}
"""In the order in which paths are matched: ``/cookies/status`` before ``/cookies/{cid}``.

A branch is the first segment of a path and how many it has: ``cookies/2`` for ``/cookies/{cid}``. A module without
branches is imported at the start: a path of it may have any length.
"""


def routers() -> list[APIRouter]:
    """Import all modules and return their routers."""
    return [import_module(_full(name)).routes for name in BRANCHES]


def routes_at_need() -> list[BaseRoute]:
    """Return the routes of the modules that are imported, and in the place of the others what imports them."""
    found: list[BaseRoute] = []
    for name, branches in BRANCHES.items():
        late = late_routes(name)
        found += late.made() if not branches or late.is_imported else [late]
    return found


def late_routes(name: str) -> LateRoutes:
    """Return what stands for the routes of a module of ``BRANCHES``."""
    return LateRoutes(_full(name), map(_branch, BRANCHES[name].split()))


def _full(name: str) -> str:
    return f"shoal.{name}"


def _branch(text: str) -> Branch:
    first, _, segments = text.rpartition("/")
    return first, int(segments)
