"""``shoal ai …``: the language model of a shop, what models were asked and said, and who provides them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.cells import SAVED, rows_table, shown_as, since, when
from shoal.cli.commands.chats import asked_once, sent
from shoal.cli.rows import LIMIT, OF_SHOP, SHOP, Answer, Given, Shown, arg, flag, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import printable, word_or, words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shoal.cli.api_client import ApiClient

# What reads files of cases and facts is imported by the commands that take one.
# ruff: noqa: PLC0415

_MICROFEN_OF_YUAN = 100_000_000
_RUN = arg("RUN", "run_id", int, min=1, help="ai.help.run_id")


def money(microfen: int) -> str:
    """Return an amount in yuan; what is less than a hundredth of a fen still shows."""
    yuan = microfen / _MICROFEN_OF_YUAN
    return f"¥{yuan:.2f}" if not microfen or yuan >= 1 else f"¥{yuan:.6f}"


def why_words(why: str) -> str:
    """Return a reason as a person reads it; one without a sentence as it is."""
    return word_or(f"ai.why.{why}", why) if why else ""


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _state(one: Answer) -> str:
    """Return what became of a run; one that cost no call is told apart from one that failed in it."""
    is_known = one["called"] or one["state"] != "failed"
    return words(f"run_state.{one['state']}") if is_known else words("run_state.not_called")


def _cost(one: Answer) -> str:
    return money(one["cost_microfen"])


def _why(one: Answer) -> str:
    return why_words(one["why"])


_RUN_FACTS: Shown = {
    "id": "id", "at": when("at"), "shop": "account", "chat": "chat_id", "item": "item_id", "model": "model",
    "state": _state, "reason": _why, "rail": "rail", "text": "text", "raw": "raw",
    "tokens": lambda one: f"{one['tokens_in']} + {one['tokens_out']}", "cost": _cost, "actor": "actor",
}  # fmt: skip


async def _approve(client: ApiClient, given: Given) -> Any:
    body = {"send_anyway": bool(given["_anyway"]), **({} if given["text"] is None else {"text": given["text"]})}
    return await asked_once(client, "POST /ai-runs/{run_id}/approve", body, run_id=str(given["run_id"]))


# ── the model of a shop ───────────────────────────────────────────────────────────────────────────────────────────────


def _mode(typed: str) -> str:
    if typed not in {"off", "draft", "auto"}:
        raise typer.BadParameter(words("ai.bad_mode", text=typed), param_hint="--mode")
    return typed


def _provider(answer: Answer) -> str:
    number, lacks = str(answer["ai_provider_id"] or "–"), answer["lacks"]
    return f"{number}: {words(f'ai.lacks.{lacks}')}" if lacks else number


_SETTINGS: Shown = {
    "ai_mode": lambda one: words(f"ai.modes.{one['ai_mode']}"), "ai_provider": _provider, "ai_persona": "ai_persona",
    "ai_facts": lambda one: str(len(one["ai_facts"])), "ai_hours": lambda one: one["ai_hours"].replace("\n", ", "),
    "ai_turns": "ai_turns_per_chat",
    "ai_tokens": lambda one: words("ai.used_of", used=one["tokens_today"], limit=one["ai_tokens_per_day"]),
    "ai_disclosure": "ai_disclosure", "ai_resting": when("resting_until"),
}  # fmt: skip


async def _facts(client: ApiClient, given: Given) -> Any:
    file = given["_file"]
    if file is None:
        return await client.ask("GET /cookies/{cid}/ai", cid=given["cid"])
    from shoal.cli.ai_eval import facts_in

    body = {"ai_facts": facts_in(file.read(), file.name)}
    return await client.ask("PUT /cookies/{cid}/ai", cid=given["cid"], body=body)


def _fact_table(answer: Answer, given: Given) -> RenderableType:
    if given["_file"] is not None:
        return shown_as(SAVED, answer, given)
    rows = [(str(one["id"]), one["question"], one["answer"]) for one in answer["ai_facts"]]
    return rows_table(("id", "question", "answer"), rows) if rows else words("ai.no_facts")


def _tried(answer: Answer, _: Given) -> str:
    """Return what the model wrote, the word of each rail that holds it back, and what it cost."""
    output = answer["output"]
    lines = [words(f"ai.decisions.{answer['decision']}")]
    if output is not None and output["text"]:
        lines.append(f"  {printable(output['text'])}")
    elif answer["raw"] and output is None:
        lines.append(f"  {printable(answer['raw'])}")
    if answer["why"]:
        lines.append(words("ai.because", why=why_words(answer["why"])))
    lines += [_rail(rail) for rail in answer["rails"] if not rail["passed"]]
    if answer["tokens_in"]:
        lines.append(words("ai.spent", tokens_in=answer["tokens_in"], tokens_out=answer["tokens_out"],
                           cost=_cost(answer), ms=answer["duration_ms"]))  # fmt: skip
    return "\n".join(lines)


def _rail(rail: Answer) -> str:
    found = " / ".join(rail["words"])
    text = words("ai.rail", rail=rail["rail"], why=why_words(rail["why"]))
    return f"  {text}: {printable(found)}" if found else f"  {text}"


async def _evaluate(client: ApiClient, given: Given) -> Any:
    from shoal.cli.ai_eval import evaluated

    file = given["_file"]
    return await evaluated(client, given["cid"], file.read(), file.name, runs=given["_runs"], at_once=given["_at_once"])


def _report(found: Answer, _: Given) -> RenderableType:
    from shoal.cli.ai_eval import report

    return report(found)


def _verdict(found: Answer, _: Given) -> str:
    from shoal.cli.ai_eval import verdict

    return verdict(found)


# ── providers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_ID = arg("ID", "provider_id", int)
_HOST = arg("HOST", "consented_host", help="ai_providers.help.agree")
_KEY = option("--key", envvar="SHOAL_PROVIDER_KEY")
_LIMITS = (
    option("--model"), option("--price-in", "price_in_fen", int, min=0),
    option("--price-out", "price_out_fen", int, min=0), option("--fen-per-day", kind=int, min=0),
    option("--calls-per-minute", kind=int, min=1, help="ai_providers.help.per_minute"),
)  # fmt: skip


def _today(one: Answer) -> str:
    limit = "" if one["fen_per_day"] is None else f" / {one['fen_per_day'] / 100:.2f}"
    return f"¥{one['cost_today_microfen'] / _MICROFEN_OF_YUAN:.2f}{limit}"


def _provider_state(one: Answer) -> str:
    if one["consented_host"] != one["host"]:
        return words("ai_providers.not_agreed")
    if one["resting_until"]:
        return words("ai_providers.rests", until=one["resting_until"], why=_reason(one["last_error"]))
    return words("ai_providers.ready")


def _reason(why: str) -> str:
    if why in {"unreadable", "pace"}:
        return words("ai_providers.unreadable") if why == "unreadable" else words("ai_providers.pace")
    name, _, status = why.partition(" ")
    known = word_or(f"incident.model.{name}", printable(name))
    return f"{known} ({status})" if status else known


def _checked(found: Answer, _: Given) -> str:
    if not found["ok"]:
        failed = words("ai_providers.failed", why=_reason(found["why"]), text=printable(found["text"]))
        return failed.rstrip()
    spent = {"tokens_in": found["tokens_in"], "tokens_out": found["tokens_out"], "ms": found["duration_ms"]}
    return f"{printable(found['text'])}\n{words('ai_providers.answered', **spent)}"


def _without_limit(given: Given) -> Given:
    return {**given, "fen_per_day": None} if given.get("_no_limit") else given


def _agree_first(one: Answer, _: Given) -> str:
    if one["consented_host"] == one["host"]:
        return ""
    return words("ai_providers.agree_first", id=one["id"], host=printable(one["host"]))


_CHANGE = "PUT /ai-providers/{provider_id}"
_CHANGED = {"shown": "ai_providers.changed", "note": _agree_first}

ai = group("ai", (
    row(
        "runs", "GET /ai-runs", OF_SHOP, option("--chat", "chat_id", help="cli.messages.help.chat"), option("--state"),
        option("--called/--not-called", kind=bool), LIMIT, none="ai.no_runs", cursor="before",
        shown={
            "id": "id", "at": since("at"), "shop": "account", "chat": "chat_id", "state": _state, "text": "text",
            "reason": _why, "cost": _cost,
        },
    ),
    row("run", "GET /ai-runs/{run_id}", _RUN, shown=_RUN_FACTS),
    row("approve", _approve, _RUN, option("--text", help="ai.help.other_text"), flag("--anyway", "_anyway"),
        shown=sent, ok="outcome=sent"),
    row("drop", "POST /ai-runs/{run_id}/drop", _RUN, shown="ai.dropped"),
    row(
        "usage", "GET /ai-usage", OF_SHOP, option("--days", kind=int, default=30, min=1), none="ai.no_usage",
        shown={"day": "day", "shop": "account", "calls": "calls", "tokens_in": "tokens_in", "tokens_out": "tokens_out",
               "cost": _cost},
    ),
    row("show", "GET /cookies/{cid}/ai", SHOP, shown=_SETTINGS),
    row(
        "set", "PUT /cookies/{cid}/ai", SHOP, option("--mode", "ai_mode", metavar="MODE", read=_mode),
        option("--provider", "ai_provider_id", int, metavar="ID", min=0), option("--persona", "ai_persona"),
        option("--hours", "ai_hours", list[str], read="\n".join), option("--turns", "ai_turns_per_chat", int),
        option("--tokens", "ai_tokens_per_day", int),
        option("--disclosure/--no-disclosure", "ai_disclosure", bool), shown=SAVED, needs_change=True,
    ),
    row("facts", _facts, SHOP, arg("FILE", "_file", typer.FileBinaryRead, None, help="ai.help.facts_file"),
        shown=_fact_table),
    row("try", "POST /cookies/{cid}/ai/try", SHOP, arg("TEXT", "text"), option("--item", "item_id"), shown=_tried),
    row(
        "eval", _evaluate, SHOP, arg("FILE", "_file", typer.FileBinaryRead, help="ai.help.cases"),
        option("--runs", "_runs", int, 1, min=1, max=20, help="ai.help.repeats"),
        option("--at-once", "_at_once", int, 4, min=1, max=16), shown=_report, note=_verdict,
        ok=lambda found: not found["failed"],
    ),
), root="ai")  # fmt: skip

ai.add_typer(group("providers", (
    row(
        "list", "GET /ai-providers", none="ai_providers.none",
        shown={
            "ai_providers.id": "id", "ai_providers.name": "name", "ai_providers.host": "host",
            "ai_providers.model": "model|kind", "ai_providers.today": _today, "ai_providers.state": _provider_state,
        },
    ),
    row("add", "POST /ai-providers", arg("NAME", "name"), arg("ADDRESS", "base_url"),
        flag("--agent", "kind", read=lambda _: "agent"), _KEY, *_LIMITS, option("--agree", "consented_host",
        metavar="HOST"), body={"kind": "openai"}, shown="ai_providers.added", note=_agree_first),
    row("change", _CHANGE, _ID, option("--name"), option("--address", "base_url"), _KEY, *_LIMITS,
        flag("--no-limit", "_no_limit"), shaped=_without_limit, **_CHANGED),
    row("agree", _CHANGE, _ID, _HOST, help="ai_providers.help.agree_command", **_CHANGED),
    row("disagree", _CHANGE, _ID, body={"consented_host": ""}, **_CHANGED),
    row("check", "POST /ai-providers/{provider_id}/check", _ID, shown=_checked, ok="ok"),
    row("remove", "DELETE /ai-providers/{provider_id}", _ID, shown="ai_providers.removed"),
), root="ai_providers"), name="providers")  # fmt: skip
