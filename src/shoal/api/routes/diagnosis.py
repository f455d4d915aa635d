"""Diagnosis: the reasons why an account does not reply, in order, each with what to do."""

from __future__ import annotations

import re
from contextlib import suppress

from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.accounts.diagnosis import Check, CheckName, Facts, ReplyStats, diagnose, is_replying
from shoal.accounts.model_settings import ModelMode
from shoal.api.advice import advice_on, park_words, retry_words
from shoal.api.http.caller import AcceptLanguage, ReadAccount, TheServer
from shoal.api.http.openapi_errors import READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.live_facts import LiveFacts, live_facts
from shoal.api.schemas.responses import example, rfc3339
from shoal.api.server import Server
from shoal.assistant.provider_standing import model_now
from shoal.clock import now_ms
from shoal.connection.push_counts import HOUR_MS, AccountPushes, PushKind
from shoal.errors import StoreError
from shoal.language.catalogue import knows, refusal_words, translate
from shoal.language.choice import Language, language_of
from shoal.messages.reply_stats import reply_stats
from shoal.xianyu.cookie_string import merge, parse_cookie

routes = Routes(tags=["accounts"])

PROBE_SECONDS = 2.0
LOOKED_BACK_MS = 24 * 3600 * 1000
_TOKEN = re.compile(r"[^_]+_(\d{10,15})")


class CheckShape(BaseModel):
    """One check. ``do`` is empty when nothing needs to be done."""

    name: CheckName
    ok: bool
    detail: str
    do: str


class PushCountShape(BaseModel):
    """How often the site pushed one kind of thing since this server started, and when last."""

    kind: PushKind
    count: int
    last_at: str


class Diagnosis(BaseModel):
    """Whether a buyer who writes now can get a reply, and all checks in the order in which to look at them.

    ``pushes`` counts what the site pushed, by kind: `person` may get a reply; `card`, `tip`, `official`, `group` and
    `site` are left aside; `unreadable` is what Shoal does not know.
    """

    model_config = example(
        replying=False,
        checks=[
            {"name": "enabled", "ok": True, "detail": "店铺已启用。", "do": ""},
            {
                "name": "parked", "ok": False, "detail": "登录已过期，已停止连接。",
                "do": "重新登录闲鱼（https://www.goofish.com），复制整段 Cookie，更新到该店铺。",
            },
        ],
        pushes=[{"kind": "person", "count": 12, "last_at": "2026-01-02T03:04:05.120Z"}],
    )  # fmt: skip
    replying: bool
    checks: list[CheckShape]
    pushes: list[PushCountShape]


@routes.get("/cookies/{cid}/diagnosis", summary="Diagnose why an account does not reply", responses=READING_ONE)
async def get_diagnosis(account: ReadAccount, server: TheServer, accept_language: AcceptLanguage = None) -> Diagnosis:
    """Check every switch, pause, lock, retry delay, limit, missing rule and expired credential, in order.

    Some checks concern single chats only: `replying` may be true although one of them is not ok.
    """
    live = await live_facts(server, account)
    checks = diagnose(await facts_of(server, account, live))
    language = language_of(accept_language)
    return Diagnosis(
        replying=is_replying(checks),
        checks=[_shape(check, language) for check in checks],
        pushes=_push_counts(live.pushes),
    )


def _push_counts(by_account: AccountPushes) -> list[PushCountShape]:
    counts = by_account.counts
    return [
        PushCountShape(kind=kind, count=counts[kind].times, last_at=rfc3339(counts[kind].last_at_ms))
        for kind in PushKind
        if kind in counts
    ]


async def facts_of(server: Server, account: Account, live: LiveFacts) -> Facts:
    """Collect what is known about the account now. ``live``: what the server knows that runs it."""
    now, settings = now_ms(), server.settings
    message_age_ms = round(settings.message_age_seconds * 1000)
    figures, lacks, rests, in_need, jar, readable = ReplyStats(), None, None, 0, None, False
    with suppress(StoreError):  # an unreadable database is itself a finding
        figures = await reply_stats(
            server.database,
            account.id,
            now_ms=now,
            looked_back_ms=LOOKED_BACK_MS,
            too_old_before_ms=now - message_age_ms,
        )
        readable = True
        if account.ai_mode != ModelMode.OFF:
            lacks, rests = await server.database.read(lambda connection: model_now(connection, account, now))
        in_need = await server.order_store.in_need(account.id)
        jar = await server.credentials.jar(account)
    holder = server.manager.locks.holder(account.id)
    return Facts(
        account=account,
        seen=live.seen,
        node=live.node,
        is_silent=live.is_silent,
        now_ms=now,
        heartbeat_limit_ms=round((settings.heartbeat_seconds + settings.heartbeat_timeout_seconds) * 1000),
        message_age_ms=message_age_ms,
        degraded=not readable or not await server.database_probe.takes_writes(within_seconds=PROBE_SECONDS),
        unsettled=server.manager.is_stale(account.id),
        busy_with=holder.operation if holder else "",
        busy_seconds=holder.held_seconds if holder else 0.0,
        token_expires_at_ms=token_expiry_ms(merge(account.cookie, jar or {})),
        figures=figures,
        model_lacks=lacks,
        model_rests_until_ms=rests,
        unreadable=live.pushes.unreadable_since(now - HOUR_MS),
        unreadable_forms=tuple(live.pushes.forms),
        site_ahead_ms=live.site_ahead_ms,
        orders_in_need=in_need,
        buyer_replies_per_hour=_own_or(account.buyer_replies_per_hour, settings.buyer_replies_per_hour),
        shop_replies_per_minute=_own_or(account.shop_replies_per_minute, settings.shop_replies_per_minute),
    )


def _own_or(own: int | None, servers: int) -> int:
    return servers if own is None else own


def token_expiry_ms(cookie: str) -> int | None:
    """Return the expiry time in a cookie's ``_m_h5_tk``. An estimate: the site may end the token earlier or later."""
    found = _TOKEN.fullmatch(parse_cookie(cookie).get("_m_h5_tk", "")) if cookie else None
    return int(found[1]) if found else None


def sentences_of(check: Check, language: Language) -> tuple[str, str]:
    """Return the finding and what to do about it; the latter is empty when nothing needs to be done."""
    params = dict(check.params)
    if "why" in params:
        params["why"] = retry_words(params["reason"], params["why"], language)
    elif check.name is CheckName.PARKED and "reason" in params:
        params["reason"] = park_words(params["reason"], language)
    elif check.name is CheckName.SENDINGS and "reason" in params:
        params["reason"] = refusal_words(params["reason"], language)
    elif check.name is CheckName.MODEL and "reasons" in params:
        params["reasons"] = " / ".join(_reason_of_model(why, language) for why in params["reasons"])
    return advice_on(f"advice.{check.finding}", language, params)


def _reason_of_model(why: str, language: Language) -> str:
    return translate(f"ai.why.{why}", language) if knows(f"ai.why.{why}") else why


def _shape(check: Check, language: Language) -> CheckShape:
    detail, do = sentences_of(check, language)
    return CheckShape(name=check.name, ok=check.ok, detail=detail, do=do)
