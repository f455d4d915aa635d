"""Delivery rules of an account as a file: exported, and imported after a preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import File, Query, Request, Response, UploadFile

from shoal.accounts.account import Account
from shoal.accounts.delivery_edits import MAX_DELIVERY_RULES
from shoal.accounts.delivery_table import COLUMNS, SHEET, delivery_table, rules_of_table
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import TABLE, row_errors, table_answer
from shoal.api.routes.deliveries import DryRun, Mode, replaced
from shoal.api.routes.rule_changes import measured
from shoal.api.schemas.deliveries import DeliveriesReplaced
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput
from shoal.language.choice import Language
from shoal.sheets.csv_rows import CSV
from shoal.sheets.csv_tables import written_csv
from shoal.sheets.xlsx import XLSX, Fault, Table, UnusableRows

routes = Routes(tags=["deliveries"])

_ZIP = b"PK"
_FILE = {"schema": {"type": "string", "format": "binary"}}


@routes.get(
    "/cookies/{cid}/deliveries/file",
    summary="Export delivery rules",
    response_class=Response,
    responses={**READING_ONE, 200: {**TABLE[200], "content": {XLSX: _FILE, CSV: _FILE}}},
)
async def export_deliveries(
    request: Request,
    account: ReadAccount,
    server: TheServer,
    *,
    language: TheLanguage,
    format: Annotated[Literal["xlsx", "csv"], Query(description="Excel keeps long numbers in `xlsx` only.")] = "xlsx",  # noqa: A002
) -> Response:
    """Return the delivery rules as an Excel or CSV file: one row for each rule, one column for each message.

    Goods have their id and their name. Pictures are named, not included.
    """
    goods = await _goods_of(server, account)
    heads, rows = await beside(delivery_table, account.deliveries, goods, chinese=language is Language.ZH)
    if format == "csv":
        data = await beside(written_csv, [head for _, head in heads], rows)
    else:
        data = await while_here(request, server.xlsx.write(SHEET, heads, rows))
    name = f"deliveries_{account.id}_{now_ms() // 1000}.{format}"
    return table_answer(data, name, account, media_type=CSV if format == "csv" else XLSX)


@routes.post("/cookies/{cid}/deliveries/file", summary="Import delivery rules", responses=CHANGING)
async def import_deliveries(
    request: Request,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
    file: Annotated[UploadFile, File(description="An .xlsx or .csv file with the columns of an exported one.")],
    mode: Mode = "replace",
    dry_run: DryRun = False,
) -> DeliveriesReplaced:
    """Replace the delivery rules with the rows of a file, or add them (`mode=merge`), all or none of them.

    If a row cannot be used, nothing is changed, and `params.rows` gives the error of each row.
    """
    data = await file.read()
    with row_errors(language):
        table = await while_here(request, _read(server, file, data))
        goods = await _goods_of(server, account)
        found = await beside(rules_of_table, table, goods, account.deliveries, repeats=caller.repeats)
        await _measure(server, found)
    wanted = [values for _, values in found]
    return await replaced(server, account, caller, response, wanted, merge=mode == "merge", dry_run=dry_run)


async def _read(server: Server, file: UploadFile, data: bytes) -> Table:
    name = (file.filename or "").lower()
    if data.startswith(_ZIP) or name.endswith((".xlsx", ".xls")):
        return await server.xlsx.read(data, COLUMNS, sheet=SHEET, most=MAX_DELIVERY_RULES)
    if name.endswith(".csv"):
        return await server.xlsx.read_csv(data, COLUMNS, most=MAX_DELIVERY_RULES)
    raise InvalidInput("neither an Excel nor a CSV file", code="not_a_table_file")


async def _goods_of(server: Server, account: Account) -> Mapping[int, str]:
    """Return the names of the goods that rules of the account may name."""
    return {one.id: one.name for one in await server.goods.store.list(account.owner_id)}


async def _measure(server: Server, found: list[tuple[int, dict[str, Any]]]) -> None:
    """Add the sizes of pictures; refuse rows with one that cannot be sent."""
    faults: list[Fault] = []
    for number, values in found:
        try:
            await measured(server, values)
        except InvalidInput as error:
            faults.append(Fault(number, "", error))
    if faults:
        raise UnusableRows(faults)
