"""An account's rules in the three forms that scripts read, and the routes that change them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import File, Form, Path, Query, Request, Response, UploadFile
from pydantic import BaseModel

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.edits import image_keyword
from shoal.api.http.caller import AccountToChange, AccountToRead, RulesToChange, RulesToRead, TheCaller, TheServer
from shoal.api.http.changes import Shown, changed, facts_of, made, untouched
from shoal.api.http.disconnects import while_here
from shoal.api.http.json_bodies import has_many_rules, large_answer
from shoal.api.http.openapi_errors import CHANGING, CHANGING_COMPAT, READING_COMPAT, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import TABLE, check_name, row_errors, table_answer
from shoal.api.schemas.account_requests import KeywordRowsBody, KeywordsBody
from shoal.api.schemas.request_texts import Text
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, etag_of, example
from shoal.api.schemas.rules import TheLanguage
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.pictures.picture_formats import measure
from shoal.rules.keyword_xlsx import COLUMNS, EXAMPLES, HEADS, SHEET, keyword_rows, rows_of_table
from shoal.rules.keywords import KeywordRow
from shoal.rules.rule import MAX_RULES, Part, Rule, RuleKind

routes = Routes(tags=["keywords"])


class KeywordShape(BaseModel):
    """One rule; ``type`` is ``item`` for a rule bound to an item."""

    keyword: str
    reply: str
    item_id: str | None
    type: Literal["item", "normal"]
    id: str


class KeywordWithItemShape(BaseModel):
    """One rule; ``item_id`` is empty when the rule applies to all items."""

    keyword: str
    reply: str
    item_id: str
    type: RuleKind
    image_url: str | None
    id: str


class KeywordWithTypeShape(BaseModel):
    """One rule; ``item_id`` is null when the rule applies to all items."""

    keyword: str
    reply: str
    item_id: str | None
    type: RuleKind
    image_url: str | None
    id: str


class KeywordsChanged(ChangeFacts):
    """The rules were replaced; ``count`` is how many were sent."""

    model_config = example(msg="updated", count=2, **CHANGE_EXAMPLE)
    msg: str = "updated"
    count: int


class ImageKeywordAdded(ChangeFacts):
    """The keyword is answered with the picture."""

    model_config = example(
        msg="图片关键词添加成功", keyword="尺寸", item_id="",
        image_url="/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.png", **CHANGE_EXAMPLE,
    )  # fmt: skip
    msg: str = "图片关键词添加成功"
    keyword: str
    image_url: str
    item_id: str


class KeywordRemoved(ChangeFacts):
    """One rule was deleted."""

    model_config = example(msg="删除成功", **CHANGE_EXAMPLE)
    msg: str = "删除成功"


class KeywordsImported(ChangeFacts):
    """The rows of the file replaced the text rules, or would replace them (``dry_run``).

    ``total`` rows are in the file: ``added`` of them are new, ``updated`` existed before. ``removed`` rules were not in
    the file.
    """

    model_config = example(msg="导入成功", total=3, added=1, updated=2, removed=0, dry_run=False, **CHANGE_EXAMPLE)
    msg: str = "导入成功"
    total: int
    added: int
    updated: int
    removed: int
    dry_run: bool


@routes.get("/keywords/{cid}", summary="List rules", response_model=list[KeywordShape], responses=READING_COMPAT)
async def list_keywords(account: AccountToRead) -> Response:
    """List all rules in matching order. A rule with a picture has an empty reply."""
    return await _listed(account, _plain)


@routes.get(
    "/keywords-with-item-id/{cid}",
    summary="List rules with item ids (old path)",
    response_model=list[KeywordWithItemShape],
    responses=READING_COMPAT,
)
async def list_keywords_with_item_id(account: AccountToRead) -> Response:
    """List all rules; `item_id` is empty when a rule applies to all items."""
    return await _listed(account, _with_items)


@routes.get(
    "/keywords-with-type/{cid}",
    summary="List rules with their types (old path)",
    response_model=list[KeywordWithTypeShape],
    responses=READING_ONE,
)
async def list_keywords_with_type(account: RulesToRead) -> Response:
    """List all rules; `item_id` is null when a rule applies to all items."""
    return await _listed(account, keywords_with_types)


@routes.post("/keywords/{cid}", summary="Replace the text rules without an item", responses=CHANGING_COMPAT)
async def update_keywords(
    body: KeywordsBody, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> KeywordsChanged:
    """Replace the general text rules. Item-bound rules and picture rules stay."""
    change = server.manager.update_keywords(account.id, list(body.keywords.items()), caller=caller)
    facts = await changed(server, response, account.id, change, _plain)
    return KeywordsChanged(count=len(body.keywords), **facts)


@routes.post("/keywords-with-item-id/{cid}", summary="Replace all text rules", responses=CHANGING_COMPAT)
async def update_keywords_with_item_id(
    body: KeywordRowsBody, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> KeywordsChanged:
    """Replace all text rules, general and item-bound; picture rules stay. Spaces at both ends are removed."""
    rows = [
        KeywordRow(keyword=row.keyword.strip(), reply=row.reply.strip(), item_id=row.item_id) for row in body.keywords
    ]
    change = server.manager.update_text_keywords(account.id, rows, caller=caller)
    return KeywordsChanged(count=len(rows), **await changed(server, response, account.id, change, _with_items))


@routes.get(
    "/keywords-export/{cid}",
    summary="Export text rules as an Excel file (old path)",
    response_class=Response,
    responses={**READING_COMPAT, **TABLE},
)
async def export_keywords(request: Request, account: AccountToRead, server: TheServer) -> Response:
    """Return the text rules as a table of `关键词`, `商品ID` and `关键词内容`; without rules, a template with examples.

    Rules that such a row cannot express (pictures, several words or messages, hours, priorities, …) are left out.
    """
    rows = await beside(keyword_rows, account.keywords)
    writing = server.xlsx.write(SHEET, HEADS, rows or EXAMPLES, grey=not rows)
    data = await while_here(request, writing)
    kind = "keywords" if rows else "keywords_template"
    return table_answer(data, f"{kind}_{account.id}_{now_ms() // 1000}.xlsx", account)


@routes.post("/keywords-import/{cid}", summary="Replace all text rules with an Excel file", responses=CHANGING_COMPAT)
async def import_keywords(
    request: Request,
    account: AccountToChange,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
    file: Annotated[UploadFile, File(description="An .xlsx file with the columns 关键词, 商品ID and 关键词内容.")],
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
) -> KeywordsImported:
    """Replace the text rules with the rows of the file, all or none of them. Rules that a row cannot express stay.

    If a row cannot be used, nothing is changed, and `params.rows` gives the error of each row.
    """
    check_name(file)
    data = await file.read()
    with row_errors(language):
        table = await while_here(request, server.xlsx.read(data, COLUMNS, sheet=SHEET, most=MAX_RULES))
        rows = await beside(rows_of_table, table, account.keywords)
    edit = await beside(edits.text_keywords, rows)
    if dry_run:
        after = await server.manager.preview_rules(account.id, edit, caller=caller)
        facts = untouched(server, account, caller)
    else:
        change = server.manager.update_rules(account.id, edit, caller=caller)
        outcome = await made(server, response, account.id, change, _with_items)
        facts, after = facts_of(outcome), outcome.account
    known = {rule.key for rule in account.keywords}
    kept = {rule.id for rule in after.keywords}
    return KeywordsImported(
        total=len(rows),
        added=sum(row.key not in known for row in rows),
        updated=sum(row.key in known for row in rows),
        removed=sum(rule.id not in kept for rule in account.keywords),
        dry_run=dry_run,
        **facts,
    )


@routes.post("/keywords/{cid}/image", summary="Add a rule that replies with a picture", responses=CHANGING)
async def add_image_keyword(
    account: RulesToChange,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    keyword: Annotated[Text, Form()],
    item_id: Annotated[Text, Form()] = "",
    image: Annotated[UploadFile, File(description="A JPEG, PNG, WebP or GIF file.")],
) -> ImageKeywordAdded:
    """Store a picture and answer a keyword with it. `image_url` is its address."""
    data = await image.read()
    size = measure(data)
    image_keyword(keyword, item_id, Part(image_url="?"))  # refuses an invalid keyword before the picture is stored
    url = await server.pictures.keep(data)
    edit = image_keyword(keyword, item_id, Part(image_url=url, width=size.width, height=size.height))
    facts = await changed(
        server, response, account.id, server.manager.update_rules(account.id, edit, caller=caller), keywords_with_types
    )
    return ImageKeywordAdded(keyword=keyword.strip(), image_url=url, item_id=item_id.strip(), **facts)


@routes.delete("/keywords/{cid}/{index}", summary="Delete a rule by its position", responses=CHANGING)
async def remove_keyword_at(
    index: Annotated[int, Path(description="Position of the rule in the lists, from 0.", examples=[0])],
    account: RulesToChange,
    server: TheServer,
    caller: TheCaller,
    response: Response,
) -> KeywordRemoved:
    """Delete the rule at that place of the lists. With `If-Match` a simultaneous edit cannot shift the places."""
    change = server.manager.remove_keyword(account.id, index, caller=caller)
    return KeywordRemoved(**await changed(server, response, account.id, change, keywords_with_types))


@routes.delete("/keywords/{cid}/rules/{rule_id}", summary="Delete a rule by its id", responses=CHANGING)
async def remove_keyword_rule(
    rule_id: Annotated[str, Path(description="The rule's `id` in the lists.", examples=["5f2b9c0d1e3a4b6c"])],
    account: RulesToChange,
    server: TheServer,
    caller: TheCaller,
    response: Response,
) -> KeywordRemoved:
    """Delete one rule, wherever it is in the lists."""
    change = server.manager.remove_keyword(account.id, rule_id, caller=caller)
    return KeywordRemoved(**await changed(server, response, account.id, change, keywords_with_types))


async def _listed(account: Account, shown: Shown) -> Response:
    return await large_answer(lambda: shown(account), large=has_many_rules(account), headers={"ETag": etag_of(account)})


def _reply(rule: Rule) -> str:
    return "" if rule.kind is RuleKind.IMAGE else rule.reply


def _plain(account: Account) -> list[KeywordShape]:
    return [
        KeywordShape(
            keyword=rule.keyword,
            reply=_reply(rule),
            item_id=rule.item_id,
            type="item" if rule.item_id else "normal",
            id=rule.id,
        )
        for rule in account.keywords
    ]


def _with_items(account: Account) -> list[KeywordWithItemShape]:
    return [
        KeywordWithItemShape(
            keyword=rule.keyword,
            reply=_reply(rule),
            item_id=rule.item_id or "",
            type=rule.kind,
            image_url=rule.image_url or None,
            id=rule.id,
        )
        for rule in account.keywords
    ]


def keywords_with_types(account: Account) -> list[KeywordWithTypeShape]:
    """Return the rules of an account, each with its type."""
    return [
        KeywordWithTypeShape(
            keyword=rule.keyword,
            reply=_reply(rule),
            item_id=rule.item_id,
            type=rule.kind,
            image_url=rule.image_url or None,
            id=rule.id,
        )
        for rule in account.keywords
    ]
