"""Rule trials: which rule would answer, why the others would not, and what would prevent the reply."""

from __future__ import annotations

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import Connection, exists, select

from shoal.accounts.account import Account
from shoal.accounts.diagnosis import CheckName, Facts, diagnose
from shoal.accounts.shop_settings import SETTINGS
from shoal.api.http.caller import ReadAccount, TheServer
from shoal.api.http.disconnects import while_here
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.json_bodies import has_many_rules
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.routes.diagnosis import facts_of, sentences_of
from shoal.api.routes.live_facts import live_facts
from shoal.api.schemas.chat_requests import TryBody, TryFilterBody
from shoal.api.schemas.responses import example
from shoal.api.schemas.rules import PartShape, RuleShape, TheLanguage, rule_shape
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside_if
from shoal.errors import InvalidInput
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.messages.decisions import Decision
from shoal.messages.replies import AnswerSource, Asked, Explained, explain
from shoal.messages.send_guards import Intended, held_back_by
from shoal.rules.matcher import Considered
from shoal.rules.output_filter import OutputFilter
from shoal.rules.rule import Rule
from shoal.storage.chat_tables import chats
from shoal.storage.schema import once_replies
from shoal.xianyu.trade_texts import is_system_text

routes = Routes(tags=["rules"])

_EARLIEST, _LATEST = 1971, 2999
MOST_CONSIDERED = 500
"""How many rules an answer lists; those that matched nothing are left out first."""


class ConsideredShape(BaseModel):
    """A rule that was checked. ``why_not`` is empty for the rule that matches."""

    rule: str
    words: list[str]
    why_not: str
    detail: str


class Tried(BaseModel):
    """What would happen. ``source`` says where the answer comes from; ``rule`` is null unless a rule gives it.

    ``text`` is all of it that is text. ``blocked_by`` names the first thing that would keep it from being sent.
    ``filtered_words``: what the output filter finds in the text. ``asks_model``: the shop's language model would be
    asked first; the answer here is given when it is not asked.
    """

    model_config = example(
        rule=None, source="default_reply", text="在的，请说", parts=[{"text": "在的，请说", "image_url": ""}],
        delay_seconds=[0.0, 0.0], considered=[
            {"rule": "5f2b9c0d1e3a4b6c", "words": ["包邮"], "why_not": "no_word", "detail": "消息中没有它的任何关键词"},
        ],
        considered_total=1, would_send=True, blocked_by=None, detail="", do="", filtered_words=[],
        asks_model=False,
    )  # fmt: skip
    rule: RuleShape | None
    source: AnswerSource | None
    text: str
    parts: list[PartShape]
    delay_seconds: list[float]
    considered: list[ConsideredShape]
    considered_total: int
    would_send: bool
    blocked_by: str | None
    detail: str
    do: str
    filtered_words: list[str]
    asks_model: bool


@routes.post(
    "/cookies/{cid}/try", summary="Test the rules with a message", responses=problems(400, 401, 404, 413, 422, 503)
)
@ignores_keys
async def try_message(
    request: Request, body: TryBody, account: ReadAccount, server: TheServer, language: TheLanguage
) -> Tried:
    """Return the rule that would answer a message, why the others would not, and the exact text. Nothing is sent.

    With a `buyer_id` or a `chat_id`, it also checks the current takeovers, limits and cooldowns of that chat. Nothing
    is stored.
    """
    asked = Asked(
        text=body.message,
        chat_id=body.chat_id or await _chat_with(server, account, body.buyer_id),
        buyer_id=body.buyer_id,
        buyer_name=body.buyer_name,
        item_id=body.item_id or None,
    )
    at_ms = _moment(body.at)
    lasting = has_many_rules(account) or account.matcher.takes_long(asked.text)
    found = await while_here(request, beside_if(lasting, explain, account, asked, at_ms=at_ms), lasting=lasting)
    code, detail, do = await _blocked(server, account, asked, found, language)
    answer, hits = found.answer, await server.rule_hits.of(account.id)
    parts = answer.parts if answer else ()
    return Tried(
        rule=rule_shape(found.rule, hits) if found.rule else None,
        source=answer.source if answer else None,
        text="\n".join(part.text for part in parts if part.text),
        parts=[PartShape(text=part.text, image_url=part.image_url) for part in parts],
        delay_seconds=list(answer.delay_seconds) if answer else [0.0, 0.0],
        considered=[_considered(one, language) for one in _most_useful(found.considered)],
        considered_total=len(found.considered),
        would_send=not code,
        blocked_by=code or None,
        detail=detail,
        do=do,
        filtered_words=list(found.words),
        asks_model=_asks_model(account, asked, found, at_ms),
    )


_DECIDED_HERE = frozenset({CheckName.ANSWERS, CheckName.HOURS})
"""The trial looks at them by the message and its time."""


def _asks_model(account: Account, asked: Asked, found: Explained, at_ms: int | None) -> bool:
    """Return whether the shop's model would be asked: neither a rule nor an item's reply nor what comes before them
    answers."""
    if not asked.text or is_system_text(asked.text) or not account.replies or found.rule is not None:
        return False
    is_left = found.answer is None or found.answer.source is AnswerSource.DEFAULT_REPLY
    is_open = found.decision in {Decision.PENDING, Decision.FILTERED}
    return is_left and is_open and account.asks_model_at(now_ms() if at_ms is None else at_ms)


def _named(found: Explained, language: Language) -> str:
    """Return the words of a filtered answer, as the end of a sentence."""
    return translate("rule_trial.words", language, words=" / ".join(found.words)) if found.words else ""


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _EARLIEST <= moment.year <= _LATEST:
        raise InvalidInput("this is no moment", code="bad_moment")
    return round(moment.timestamp() * 1000)


async def _chat_with(server: Server, account: Account, buyer_id: str) -> str:
    """Return the chat in which that buyer wrote last; empty without one."""
    if not buyer_id:
        return ""
    mine = (chats.c.account_id == account.id) & (chats.c.buyer_id == buyer_id)
    query = select(chats.c.chat_id).where(mine).order_by(chats.c.last_at_ms.desc()).limit(1)
    return await server.database.read(lambda connection: connection.scalar(query)) or ""


async def _blocked(
    server: Server, account: Account, asked: Asked, found: Explained, language: Language
) -> tuple[str, str, str]:
    """Return the code of the first obstacle, its meaning and what to do; empty texts without one."""
    if not asked.text:
        return _decision(Decision.NOTHING_SAID, language)
    if is_system_text(asked.text):
        return _decision(Decision.SYSTEM_TEXT, language)
    if (found.answer is None and found.decision is Decision.PENDING) or not account.replies:
        is_out = account.asks_model and account.model_closed_at(now_ms()) is not None
        nothing = Decision.MODEL_AWAY if is_out else Decision.NO_RULE
        return _decision(nothing if account.replies else Decision.REPLIES_OFF, language)
    if found.decision is not Decision.PENDING:
        code, detail, do = _decision(found.decision, language)
        return code, f"{detail}{_named(found, language)}", do
    facts = await facts_of(server, account, await live_facts(server, account))
    for check in diagnose(facts):
        if check.blocks and not check.ok and check.name not in _DECIDED_HERE:
            return check.finding, *sentences_of(check, language)
    decision = await server.database.read(lambda connection: _held_back_by(connection, account, asked, found, facts))
    return _decision(decision, language) if decision is not None else ("", "", "")


def _held_back_by(
    connection: Connection, account: Account, asked: Asked, found: Explained, facts: Facts
) -> Decision | None:
    answer, now = found.answer, now_ms()
    if answer is None:
        return None
    is_apart = answer.source in {AnswerSource.HANDOFF, AnswerSource.AWAY_REPLY}
    held = held_back_by(
        connection,
        Intended(
            account_id=account.id,
            chat_id=asked.chat_id,
            buyer_id=asked.buyer_id,
            asked_at_ms=now,
            now_ms=now,
            rule_id=answer.rule_id or answer.source.value,
            cooldown_seconds=answer.cooldown_seconds,
            buyer_replies_per_hour=facts.buyer_replies_per_hour if asked.buyer_id and not is_apart else 0,
            once_since_ms=found.closed.since_ms if found.closed is not None else None,
            shop_replies_per_minute=facts.shop_replies_per_minute,
        ),
    )
    if held is None and account.default_reply_once and answer.source is AnswerSource.DEFAULT_REPLY:
        had = once_replies.c.chat_id.in_([asked.chat_id, asked.buyer_id])
        was_sent = exists().where(once_replies.c.account_id == account.id, had)
        held = Decision.SAID_ONCE if connection.scalar(select(was_sent)) else None
    return held


def _decision(decision: Decision, language: Language) -> tuple[str, str, str]:
    return decision.value, translate(f"rule_trial.blocked.{decision.value}", language), ""


def _most_useful(considered: tuple[Considered, ...]) -> list[Considered]:
    if len(considered) <= MOST_CONSIDERED:
        return list(considered)
    ranked = sorted(considered, key=lambda one: one.why_not in {"no_word", "other_item", "inactive"})
    kept = {one.rule.id for one in ranked[:MOST_CONSIDERED]}
    return [one for one in considered if one.rule.id in kept]


def _considered(one: Considered, language: Language) -> ConsideredShape:
    rule: Rule = one.rule
    detail = translate(f"rule_trial.why_not.{one.why_not}", language) if one.why_not else ""
    return ConsideredShape(rule=rule.id, words=list(rule.words), why_not=one.why_not, detail=detail)


class FilterTried(BaseModel):
    """What the filter finds. Nothing: the text may be sent."""

    model_config = example(filtered_words=["加我微"])
    filtered_words: list[str]


@routes.post(
    "/cookies/{cid}/filter/try",
    summary="Test the output filter with a text",
    responses=problems(400, 401, 404, 413, 422, 503),
)
@ignores_keys
async def try_filter(request: Request, body: TryFilterBody, account: ReadAccount) -> FilterTried:
    """Return what the output filter finds in a text. Nothing is sent or stored.

    Settings that the body names stand for those of the shop, so that they can be tested before they are saved.
    """
    given = {
        name: SETTINGS[name].checked(value, name)
        for name, value in body.model_dump(exclude={"text"}, exclude_unset=True).items()
    }

    def found() -> tuple[str, ...]:
        of_shop = {name: getattr(account, name) for name in TryFilterBody.model_fields if name != "text"}
        asked = {**of_shop, **given}
        return OutputFilter(
            contacts=asked["filter_contacts"], links=asked["filter_links"], patterns=asked["filter_patterns"],
            floor_fen=asked["price_floor_fen"],
        ).words_in([body.text])  # fmt: skip

    lasting = bool(given)
    words = await while_here(request, beside_if(lasting, found), lasting=lasting)
    return FilterTried(filtered_words=list(words))
