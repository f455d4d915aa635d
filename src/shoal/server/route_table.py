"""All modules of routes, in the order in which paths are matched: ``/cookies/status`` before ``/cookies/{cid}``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute

from shoal.api.hot import hot
from shoal.api.http.route_rules import routes_of

MODULES: Final = (
    "shoal.api.routes.auth",
    "shoal.console.session",
    "shoal.api.routes.me",
    "shoal.api.routes.users",
    "shoal.api.routes.tokens",
    "shoal.api.routes.staff",
    "shoal.api.routes.invitations",
    "shoal.api.routes.batch",
    "shoal.api.routes.batch_edits",
    "shoal.api.routes.shop_files",
    "shoal.api.routes.cookies",
    "shoal.api.routes.cookie_settings",
    "shoal.api.routes.rule_trial",
    "shoal.api.routes.filter_trial",
    "shoal.api.routes.items",
    "shoal.api.routes.item_pages",
    "shoal.api.routes.default_replies",
    "shoal.api.routes.item_replies",
    "shoal.api.routes.keywords",
    "shoal.api.routes.rules",
    "shoal.api.routes.rule_lists",
    "shoal.api.routes.deliveries",
    "shoal.api.routes.delivery_check",
    "shoal.api.routes.delivery_files",
    "shoal.api.routes.buyers",
    "shoal.api.routes.history",
    "shoal.api.routes.batch_undo",
    "shoal.api.routes.audit_log",
    "shoal.api.routes.timeline",
    "shoal.api.routes.diagnosis",
    "shoal.api.routes.messages",
    "shoal.api.routes.chats",
    "shoal.api.routes.chat_work",
    "shoal.api.routes.quick_replies",
    "shoal.api.routes.item_cards",
    "shoal.api.routes.send",
    "shoal.api.routes.ai_runs",
    "shoal.api.routes.ai_settings",
    "shoal.api.routes.ai_trial",
    "shoal.api.routes.activity",
    "shoal.api.routes.shop_counts",
    "shoal.api.routes.order_sums",
    "shoal.api.routes.orders",
    "shoal.api.routes.ops",
    "shoal.api.routes.events",
    "shoal.api.routes.health",
    "shoal.api.routes.metrics",
    "shoal.api.routes.reload",
    "shoal.api.routes.nodes",
    "shoal.api.routes.node_calls",
    "shoal.api.routes.node_events",
    "shoal.api.routes.system",
    "shoal.api.routes.backups",
    "shoal.api.routes.logs",
    "shoal.api.routes.keys",
    "shoal.api.routes.seller_numbers",
    "shoal.api.routes.goods",
    "shoal.api.routes.units",
    "shoal.api.routes.suppliers",
    "shoal.api.routes.restock",
    "shoal.api.routes.cards",
    "shoal.api.routes.delivery_rules",
    "shoal.api.routes.channels",
    "shoal.api.routes.notification_channels",
    "shoal.api.routes.known_items",
    "shoal.api.routes.ai_reply_settings",
    "shoal.api.routes.old_administration",
    "shoal.api.routes.old_backups",
    "shoal.api.routes.old_settings",
    "shoal.api.routes.old_tables",
    "shoal.api.routes.risk_control_logs",
    "shoal.api.routes.gone",
    "shoal.api.routes.incidents",
    "shoal.api.routes.push",
    "shoal.api.routes.webhooks",
    "shoal.api.routes.ai_providers",
    "shoal.api.routes.reference",
    "shoal.api.routes.pictures",
    "shoal.console.cookie_check",
    "shoal.console.proxy_check",
    "shoal.api.routes.qr_logins",
    "shoal.api.routes.imports",
    "shoal.console.live",
    "shoal.console.routes",
    "shoal.console.help_pages",
)


def routers() -> list[APIRouter]:
    """Import all modules and return their routers. May run in a thread."""
    return [import_module(name).routes for name in MODULES]


def every_route() -> list[APIRoute | APIWebSocketRoute]:
    """Return all routes as FastAPI knows them, the hot ones first."""
    return [*(route.declared for route in hot), *routes_of(routers())]


def are_imported() -> bool:
    """Return whether all modules were imported before."""
    return all(name in sys.modules for name in MODULES)
