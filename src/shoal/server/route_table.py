"""All modules of routes, in the order in which paths are matched: ``/cookies/status`` before ``/cookies/{cid}``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute

from shoal.api.hot import hot
from shoal.api.http.route_rules import routes_of

_IN_ORDER: Final = """
    auth console.session me users tokens staff invitations batch batch_edits shop_files cookies cookie_settings
    rule_trial items item_pages default_replies item_replies keywords rules rule_lists deliveries delivery_check
    delivery_files buyers history batch_undo audit_log timeline diagnosis messages chats chat_work quick_replies send
    ai_runs ai_settings activity order_sums orders ops events health metrics reload nodes node_calls node_events system
    backups logs keys seller_numbers goods units restock older_system.cards older_system.delivery_rules channels
    older_system.notification_channels older_system.known_items older_system.ai_reply_settings
    older_system.administration older_system.backups older_system.settings older_system.tables
    older_system.risk_control_logs older_system.gone incidents push webhooks ai_providers reference pictures
    console.cookie_check console.proxy_check qr_logins imports console.live console.routes console.help_pages
"""
MODULES: Final = tuple(f"shoal.{name if '.' in name else f'api.routes.{name}'}" for name in _IN_ORDER.split())


def routers() -> list[APIRouter]:
    """Import all modules and return their routers. May run in a thread."""
    return [import_module(name).routes for name in MODULES]


def every_route() -> list[APIRoute | APIWebSocketRoute]:
    """Return all routes as FastAPI knows them, the hot ones first."""
    return [*(route.declared for route in hot), *routes_of(routers())]


def are_imported() -> bool:
    """Return whether all modules were imported before."""
    return all(name in sys.modules for name in MODULES)
