"""Units of goods: imported, listed masked, revealed, voided, returned; and the batches they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from shoal.api.http.caller import Origin, TheServer
from shoal.api.http.goods_caller import GoodsToChange, GoodsToRead, GoodsToReveal, TheBy
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import CHANGING, READING_ONE, TRYING, problems
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.http.unit_bodies import SentFile, UnitsRoute
from shoal.api.routes.history import Cursor, Limit
from shoal.api.routes.invitations import NoStore
from shoal.api.routes.restock import after_import
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.goods import (
    BatchList,
    BatchShape,
    GiveBackBody,
    GivenBackUnits,
    ImportAnswer,
    ImportLine,
    ReasonBody,
    RevealedUnit,
    StateShape,
    UnitList,
    UnitShape,
    batch_shape,
    unit_fields,
)
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.request_texts import body_example
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput
from shoal.goods.goods import Goods
from shoal.goods.imports import Double, Imported
from shoal.goods.stock_history import By
from shoal.goods.unit_lines import (
    COLUMNS,
    SHEET,
    Refusal,
    SentLines,
    lines_of_csv,
    lines_of_list,
    lines_of_table,
    lines_of_text,
)
from shoal.goods.unit_states import UnitState
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.orders.unit_returns import UnitReturns
from shoal.sheets.xlsx import MAX_ROWS, XLSX

_importing = Routes(tags=["goods"], route_class=UnitsRoute)
routes = Routes(tags=["goods"])

MOST_NAMED: Final = 1_000
"""How many doubles, and how many refused lines, an answer names."""
_XLSX_TYPES: Final = {XLSX, "application/vnd.ms-excel"}

UnitId = Annotated[int, Path(ge=1, le=2**53, description="The unit's id.", examples=[41])]
BatchId = Annotated[int, Path(ge=1, le=2**53, description="The batch's id.", examples=[3])]
_FILE: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}, "dry_run": {"type": "boolean"}},
                }
            },
            "text/plain": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
        }
    }
}


class UnitsBody(BaseModel):
    """Units, one in each text. Instead of JSON a file may be sent: text (one unit on each line), CSV or Excel."""

    model_config = body_example(lines=["AB12-CD34-EF42"], dry_run=False)
    lines: Any
    dry_run: bool = False


@_importing.post("/goods/{goods_id}/units", summary="Import units", responses=CHANGING, openapi_extra=_FILE)
async def import_units(
    body: UnitsBody,
    goods: GoodsToChange,
    server: TheServer,
    by: TheBy,
    *,
    language: TheLanguage,
    dry_run: Annotated[bool, Query(description="Only report what would be taken; store nothing.")] = False,
) -> ImportAnswer:
    """Take units in, or (`dry_run`) only report what would be taken. Doubles, also of units that are out, and lines
    that cannot be used are named by line. Up to 100,000 lines; an import that is cut off keeps what it took in, and the
    same request again adds the rest. `GET /goods/{goods_id}/batches` shows how far it is.
    """
    sent, name, data = await _sent_lines(server, body.lines)
    if dry_run or body.dry_run:
        result, restocked = await server.goods.imports.preview(goods, sent), (0, 0)
    else:
        result = await server.goods.imports.run(goods, sent, by, file_name=name, data=data)
        restocked = await after_import(server, goods, by.actor)
    return await beside(_import_answer, result, sent, by, restocked, language)


async def _sent_lines(server: Server, lines: Any) -> tuple[SentLines, str, bytes]:
    """Return the lines of a body, with the name and the bytes of its file."""
    if isinstance(lines, RequestValidationError):
        raise lines
    if not isinstance(lines, SentFile):
        return await beside(lines_of_list, lines), "", b""
    name = lines.name[-200:]
    kind = name.lower().rpartition(".")[2]
    if kind in {"xlsx", "xls"} or lines.media_type in _XLSX_TYPES:
        table = await server.xlsx.read(lines.data, COLUMNS, sheet=SHEET, most=MAX_ROWS)
        return await beside(lines_of_table, table), name, lines.data
    if kind == "csv" or lines.media_type == "text/csv":
        return await beside(lines_of_csv, await server.xlsx.csv_lines(lines.data)), name, lines.data
    if kind == "txt" or lines.media_type == "text/plain":
        return await beside(lines_of_text, lines.data), name, lines.data
    raise InvalidInput("no file of units", code="not_a_units_file")


def _import_answer(
    result: Imported, sent: SentLines, by: By, restocked: tuple[int, int], language: Language
) -> ImportAnswer:
    return ImportAnswer(
        batch_id=None if result.batch is None else result.batch.id,
        dry_run=result.batch is None,
        lines=sent.size,
        taken=result.taken,
        doubles=_doubles(result.doubles[:MOST_NAMED], language),
        refused=[_refused(one, language) for one in result.refused[:MOST_NAMED]],
        doubles_count=len(result.doubles),
        refused_count=len(result.refused),
        waiting=restocked[0],
        requested=restocked[1],
        op_id=shown_op_id(by.op_id),
    )


def _doubles(doubles: Sequence[Double], language: Language) -> list[ImportLine]:
    return [
        ImportLine(
            line=one.line, why=one.why, detail=translate(f"unit_double.{one.why}", language, first=one.first or 0)
        )
        for one in doubles
    ]


def _refused(one: Refusal, language: Language) -> ImportLine:
    problem = problem_of(one.error)
    return ImportLine(line=one.line, why=one.error.code, detail=problem.sentence(language, one.error.params))


@routes.get("/goods/{goods_id}/units", summary="List units", responses={**READING_ONE, **problems(403)})
async def list_units(
    goods: GoodsToRead,
    server: TheServer,
    state: Annotated[StateShape | None, Query(description="Only units in this state.")] = None,
    batch: Annotated[int | None, Query(ge=1, le=2**53, description="Only units of this batch.")] = None,
    after: Annotated[int, Query(ge=0, le=2**53, description="Only units after this id: `next` of the last page.")] = 0,
    limit: Limit = 50,
) -> UnitList:
    """List units, the oldest first. Their texts are masked."""
    found = await server.goods.units.list(
        goods, state=None if state is None else UnitState(state), batch_id=batch, after=after, limit=limit + 1
    )
    following = found[limit - 1].id if len(found) > limit else None
    return UnitList(items=[UnitShape(**unit_fields(unit)) for unit in found[:limit]], next=following)


@routes.post("/goods/{goods_id}/units/{unit_id}/reveal", summary="Reveal a unit", responses=TRYING)
@ignores_keys
async def reveal_unit(
    body: ReasonBody, goods: GoodsToReveal, unit_id: UnitId, server: TheServer, by: TheBy, origin: Origin, _: NoStore
) -> RevealedUnit:
    """Return a unit with its text. Who saw it and why is noted in the stock's history and in the audit log."""
    unit = await server.goods.units.reveal(goods, unit_id, by, reason=body.reason)
    await _note(server, AuditEvent.UNIT_REVEALED, goods, unit_id, by=by, origin=origin, reason=body.reason)
    return RevealedUnit(**unit_fields(unit), text=unit.text or "")


@routes.post("/goods/{goods_id}/units/{unit_id}/void", summary="Void a unit", responses=CHANGING)
async def void_unit(
    body: ReasonBody, goods: GoodsToChange, unit_id: UnitId, server: TheServer, by: TheBy, origin: Origin
) -> UnitShape:
    """Take a free unit out of the stock for ever. It stays known: importing it again is a double."""
    unit = await server.goods.units.move(goods, unit_id, UnitState.VOID, by, reason=body.reason)
    await _note(server, AuditEvent.UNIT_VOIDED, goods, unit_id, by=by, origin=origin, reason=body.reason)
    return UnitShape(**unit_fields(unit))


@routes.post("/goods/{goods_id}/units/{unit_id}/return", summary="Mark a unit as returned", responses=CHANGING)
async def return_unit(
    body: ReasonBody, goods: GoodsToChange, unit_id: UnitId, server: TheServer, by: TheBy, origin: Origin
) -> UnitShape:
    """Note that a buyer gave a unit back. It is not sold again, because the buyer knows it."""
    unit = await server.goods.units.move(goods, unit_id, UnitState.RETURNED, by, reason=body.reason)
    await _note(server, AuditEvent.UNIT_RETURNED, goods, unit_id, by=by, origin=origin, reason=body.reason)
    return UnitShape(**unit_fields(unit))


@routes.post("/goods/{goods_id}/units/{unit_id}/doubt", summary="Mark a unit as doubted", responses=CHANGING)
async def doubt_unit(
    body: ReasonBody, goods: GoodsToChange, unit_id: UnitId, server: TheServer, by: TheBy, origin: Origin
) -> UnitShape:
    """Note that a unit may be known to others, or may not work. It is not sold from now on."""
    unit = await server.goods.units.move(goods, unit_id, UnitState.DOUBTED, by, reason=body.reason)
    await _note(server, AuditEvent.UNIT_DOUBTED, goods, unit_id, by=by, origin=origin, reason=body.reason)
    return UnitShape(**unit_fields(unit))


@routes.post("/goods/{goods_id}/units/{unit_id}/give-back", summary="Give units of an order back", responses=CHANGING)
async def give_back(
    body: GiveBackBody, goods: GoodsToChange, unit_id: UnitId, server: TheServer, by: TheBy, origin: Origin
) -> GivenBackUnits:
    """Part the order that has a unit from all its units that its buyer does not have: they are free again.

    For an order that nothing serves any more: its shop was removed, you shipped it by hand, or it ended and the site
    did not say so. A unit whose message arrived stays with its order. A unit that may have arrived, or that a person
    revealed, needs `never_arrived`; otherwise nothing is given back (409).
    """
    found = await UnitReturns(server.database).give_back(
        goods, unit_id, by, reason=body.reason, order_id=body.order_id, never_arrived=body.never_arrived
    )
    await server.audit_log.record(
        AuditEvent.UNITS_GIVEN_BACK,
        actor=by.actor,
        user_id=goods.owner_id,
        origin=origin,
        goods_id=goods.id,
        goods=goods.name,
        order_id=found.order_id,
        units=[str(one) for one in found.units],
        reason=body.reason,
        never_arrived=body.never_arrived,
    )
    return GivenBackUnits(order_id=found.order_id, units=list(found.units))


async def _note(
    server: Server, event: AuditEvent, goods: Goods, unit_id: int, *, by: By, origin: str, reason: str
) -> None:
    await server.audit_log.record(
        event,
        actor=by.actor,
        user_id=goods.owner_id,
        origin=origin,
        goods_id=goods.id,
        goods=goods.name,
        unit_id=unit_id,
        reason=reason,
    )


@routes.get("/goods/{goods_id}/batches", summary="List imports", responses={**READING_ONE, **problems(403)})
async def list_batches(goods: GoodsToRead, server: TheServer, cursor: Cursor = None, limit: Limit = 50) -> BatchList:
    """List the imports of goods, the newest first; one that is under way shows how far it is."""
    before = None if cursor is None else place_of(cursor, 1)[0]
    found = await server.goods.imports.batches(goods.id, before=before, limit=limit + 1)
    following = cursor_of(found[limit - 1].id) if len(found) > limit else None
    return BatchList(items=[batch_shape(batch) for batch in found[:limit]], next=following)


@routes.post("/goods/{goods_id}/batches/{batch_id}/undo", summary="Undo an import", responses=CHANGING)
async def undo_import(goods: GoodsToChange, batch_id: BatchId, server: TheServer, by: TheBy) -> BatchShape:
    """Delete the units of an import again, while an order can still get each of them. Voided ones stay."""
    return batch_shape(await server.goods.imports.undo(goods.id, batch_id, by))


routes.routes.extend(_importing.routes)  # used as it is: an included router computes its routes again
