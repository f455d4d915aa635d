"""All rules of an account at once: replace, merge, export to a file, read a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, File, Query, Request, Response, UploadFile
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer, who_operates
from shoal.api.http.changes import facts_of, untouched
from shoal.api.http.disconnects import while_here
from shoal.api.http.idempotency import ChangingRoute, ignores_keys
from shoal.api.http.json_bodies import JsonRequest, has_many_rules, large_answer
from shoal.api.http.openapi_errors import CHANGING, READING_ONE, TRYING
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import TABLE, file_headers, row_errors, table_answer
from shoal.api.routes.rule_changes import measured, new_rule_ids, rules_made, warnings_about
from shoal.api.schemas.responses import etag_of, example, rfc3339
from shoal.api.schemas.rules import (
    RULE_EXAMPLE,
    RulesBody,
    RulesReplaced,
    TheLanguage,
    edits_shown,
)
from shoal.api.schemas.sent_rules import checked, sent_rule, sent_rules, sent_whole
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput
from shoal.language.choice import Language
from shoal.rules.keywords import next_position
from shoal.rules.rule import MAX_RULES, Rule
from shoal.rules.rule_lists import Wanted, WholeRules, edits_between
from shoal.rules.rule_xlsx import COLUMNS, SHEET, faults_of, rule_table, rules_of_table
from shoal.sheets.csv_rows import CSV
from shoal.sheets.csv_tables import written_csv
from shoal.sheets.xlsx import Fault, Table, UnusableRows

routes = Routes(tags=["rules"])
_ZIP = b"PK"


class _RulesRequest(JsonRequest):
    """A request whose rules are read at once."""

    async def json(self) -> Any:
        rows = sent_rules(await self.body())
        return await super().json() if rows is None else {"rules": rows}


class _RulesRoute(ChangingRoute):
    request_class = _RulesRequest


_replacing = Routes(tags=["rules"], route_class=_RulesRoute)


@_replacing.put("/cookies/{cid}/rules", summary="Replace all rules", response_model=RulesReplaced, responses=CHANGING)
async def replace_rules(
    body: RulesBody,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
    mode: Annotated[
        Literal["replace", "merge"],
        Query(description="`replace` deletes rules that are not in the request; `merge` keeps them."),
    ] = "replace",
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
) -> Response:
    """Replace all rules with those that are sent, in their order. A list read from one account fits another.

    A rule with a known id is edited, another id makes a new rule. A rule without an id edits the rule with the same
    words, items and hours, or makes a new one. With `mode=merge`, new rules come after all others of their priority,
    and an unknown id also edits the rule with the same words, items and hours.
    """
    edit = await _edit(body.rules, account, server, caller, mode)
    hits = await server.rule_hits.of(account.id)  # before the change: a failed read after it would hide success
    facts: dict[str, Any]
    if dry_run:
        after = await server.manager.preview_rules(account.id, edit, caller=caller)
        facts = untouched(server, account, caller)
    else:
        outcome = await rules_made(server, response, account.id, edit, caller)
        facts, after = facts_of(outcome), outcome.account

    def replaced() -> RulesReplaced:
        return RulesReplaced(
            dry_run=dry_run,
            **edits_shown(edits_between(account.keywords, after.keywords), hits),
            warnings=warnings_about(after, {rule.id for rule in after.keywords}, language),
            **facts,
        )

    large = has_many_rules(account) or has_many_rules(after)
    headers = {"ETag": response.headers["ETag"]} if "ETag" in response.headers else {}
    return await large_answer(replaced, large=large, headers=headers)


async def _edit(rows: Any, account: Account, server: Server, caller: Caller, mode: str) -> edits.Edit:
    """Return the edit that a list of rules asks for; rules with fields alone are made at once."""
    if mode == "replace" and (whole := await beside(_whole, rows, account, caller)) is not None:
        return edits.all_rules(whole)
    wanted = await beside(_wanted, rows, caller)
    await _measure(server, wanted)
    return edits.more_rules(wanted) if mode == "merge" else edits.all_rules(wanted)


def _whole(rows: Any, account: Account, caller: Caller) -> WholeRules | None:
    if not isinstance(rows, list):
        return None
    return sent_whole(rows, new_rule_ids(caller, len(rows)), next_position(account.keywords))


def _wanted(rows: Any, caller: Caller) -> list[Wanted]:
    sent = checked(rows)
    return [
        Wanted(values, rule_id, new_id)
        for (rule_id, values), new_id in zip(sent, new_rule_ids(caller, len(sent)), strict=True)
    ]


async def _measure(server: Server, wanted: Sequence[Wanted]) -> None:
    for row in wanted:
        for part in row.values.get("parts", ()):
            if "image_url" in part:
                await measured(server, dict(row.values))
                break


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class RulesRead(BaseModel):
    """The rules of a file, in the form of `PUT /cookies/{cid}/rules`. Nothing was changed."""

    model_config = example(rules=[RULE_EXAMPLE])
    rules: list[dict[str, Any]]


_OTHER_FILES: dict[str, Any] = {
    CSV: {"schema": {"type": "string", "format": "binary"}},
    "application/json": {"schema": {"type": "object"}},
}


@routes.get(
    "/cookies/{cid}/rules-file",
    summary="Export rules",
    response_class=Response,
    responses={
        **READING_ONE,
        200: {**TABLE[200], "content": {**TABLE[200]["content"], **_OTHER_FILES}},
    },
)
async def export_rules(
    request: Request,
    account: ReadAccount,
    server: TheServer,
    *,
    language: TheLanguage,
    format: Annotated[  # noqa: A002
        Literal["json", "xlsx", "csv"], Query(description="`xlsx` and `csv` return an editable table.")
    ] = "json",
) -> Response:
    """Return all rules with all their settings, as JSON, or as an Excel or CSV file.

    Pictures are named, not included.
    """
    name = f"rules_{account.id}_{now_ms() // 1000}.{format}"
    if format != "json":
        heads, rows = await beside(rule_table, account.keywords, chinese=language is Language.ZH)
        if format == "csv":
            data = await beside(written_csv, [head for _, head in heads], rows)
            return table_answer(data, name, account, media_type=CSV)
        data = await while_here(request, server.xlsx.write(SHEET, heads, rows))
        return table_answer(data, name, account)
    data = await while_here(request, beside(_json_file, account))
    return Response(data, media_type="application/json", headers=file_headers(name) | {"ETag": etag_of(account)})


def _json_file(account: Account) -> bytes:
    """Return the JSON file, one rule on each line, so that two files can be compared."""
    head = to_json({"account": account.id, "generation": account.generation, "exported_at": rfc3339(now_ms())})
    rows = b",\n".join(to_json(_file_row(rule)) for rule in account.keywords)
    return head[:-1] + b',"rules":[\n' + rows + b"\n]}\n"


def _file_row(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "words": rule.words,
        "word_mode": rule.word_mode,
        "match_mode": rule.match_mode,
        "item_ids": rule.item_ids,
        "priority": rule.priority,
        "schedule": [{"weekdays": span.weekdays, "start": span.start, "end": span.end} for span in rule.schedule],
        "parts": [{"image_url": part.image_url} if part.image_url else {"text": part.text} for part in rule.parts],
        "delay_seconds": rule.delay_seconds,
        "cooldown_seconds": rule.cooldown_seconds,
        "active": rule.active,
    }


@routes.post(
    "/rules-file",
    summary="Import rules",
    dependencies=[Depends(who_operates)],
    response_model=RulesRead,
    responses=TRYING,
)
@ignores_keys
async def read_rules(
    request: Request,
    server: TheServer,
    *,
    language: TheLanguage,
    file: Annotated[
        UploadFile, File(description="A .json, .xlsx or .csv file of rules, or a keyword file of the old system.")
    ],
) -> Response:
    """Read a file and return its rules; nothing is changed. If a row cannot be used, `params.rows` gives the reason."""
    data = await file.read()
    with row_errors(language):
        if _is_json(file, data):
            found = await while_here(request, beside(_read_json, data))
        else:
            table = await while_here(request, _read_table(server, file, data))
            found = await while_here(request, beside(rules_of_table, table))
        await _check_pictures(server, found)
    return await large_answer(lambda: {"rules": [_row(wanted) for _, wanted in found]}, large=len(found) > 100)


async def _read_table(server: Server, file: UploadFile, data: bytes) -> Table:
    if (file.filename or "").lower().endswith(".csv") and not data.startswith(_ZIP):
        return await server.xlsx.read_csv(data, COLUMNS, most=MAX_RULES)
    return await server.xlsx.read(data, COLUMNS, sheet=SHEET, most=MAX_RULES)


def _is_json(file: UploadFile, data: bytes) -> bool:
    return (file.filename or "").lower().endswith(".json") or data[:64].lstrip().startswith(b"{")


def _row(wanted: Wanted) -> dict[str, Any]:
    return {**({"id": wanted.id} if wanted.id else {}), **wanted.values}


class _JsonFile(msgspec.Struct):
    rules: list[Any]


def _read_json(data: bytes) -> list[tuple[int, Wanted]]:
    text = data.removeprefix(b"\xef\xbb\xbf")
    try:
        rows = sent_rules(text) or msgspec.json.decode(text, type=_JsonFile).rules
    except msgspec.DecodeError as error:
        raise InvalidInput("no file of rules", code="bad_rules_file", why=str(error)[:200]) from None
    if len(rows) > MAX_RULES:
        raise InvalidInput("there are too many rules", code="too_many_keywords", limit=MAX_RULES)
    found: list[tuple[int, Wanted]] = []
    faults: list[Fault] = []
    for number, row in enumerate(rows, 1):
        try:
            rule_id, values = sent_rule(row)
            found.append((number, Wanted(values, rule_id)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))[:80]
            faults.append(Fault(number, where, InvalidInput("no rule", code="bad_rule_shape")))
    faults += faults_of(found)
    if faults:
        raise UnusableRows(faults)
    return found


async def _check_pictures(server: Server, found: Sequence[tuple[int, Wanted]]) -> None:
    """Refuse rules with a picture that is not stored here."""
    faults: list[Fault] = []
    for number, wanted in found:
        try:
            await measured(server, {"parts": [dict(part) for part in wanted.values.get("parts", ())]})
        except InvalidInput as error:
            faults.append(Fault(number, "", error))
    if faults:
        raise UnusableRows(faults)


routes.routes.extend(_replacing.routes)  # used as it is: an included router computes its routes again
