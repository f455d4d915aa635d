"""The commands that are rows, compared with the API's document: each calls an operation as it wants to be called."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import typer.main

from shoal.accounts.setting_kinds import Way
from shoal.accounts.shop_settings import AssistantSettings, declared_by, declared_in
from shoal.cli.app import app
from shoal.cli.rows import Param, Row
from shoal.cli.run_rows import in_body, in_path, in_query, rows_in
from shoal.config import load_settings
from shoal.server.reply_server import build_app


@cache
def _document() -> dict[str, Any]:
    return build_app(load_settings()).openapi()


@cache
def _rows() -> dict[str, Row]:
    return {name: row for name, row, _ in rows_in(typer.main.get_command(app))}


CALLING = sorted(name for name, row in _rows().items() if row.does is None)


def _operation(row: Row) -> dict[str, Any]:
    method, _, path = row.operation.partition(" ")
    operation: dict[str, Any] = _document()["paths"].get(path, {}).get(method.lower(), {})
    return operation


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = _document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _body_of(row: Row) -> dict[str, Any] | None:
    content = _operation(row).get("requestBody", {}).get("content", {})
    return _schema(content["application/json"]["schema"]) if content else None


def _sent(row: Row, into: Any) -> dict[str, Param]:
    return {param.name.lstrip("?"): param for param in row.params if into(row, param.name)}


@pytest.mark.parametrize("name", CALLING)
def test_a_row_calls_an_operation_by_its_own_names(name: str) -> None:
    row = _rows()[name]
    assert _operation(row), f"the API has no {row.operation}"
    parameters = {(one["in"], one["name"]): one for one in _operation(row).get("parameters", ())}
    assert {f"{where} {one}" for where, one in parameters if where == "path"} == {
        f"path {one.name}" for one in row.params if in_path(row, one.name)
    }
    query = _sent(row, in_query)
    assert sorted(set(query) - {one for where, one in parameters if where == "query"}) == []
    needed = {one for (where, one), facts in parameters.items() if where == "query" and facts.get("required")}
    assert needed <= {one for one, param in query.items() if param.default is not None}


@pytest.mark.parametrize("name", CALLING)
def test_a_row_sends_the_body_that_its_operation_takes(name: str) -> None:
    row, body = _rows()[name], _body_of(_rows()[name])
    fields = _sent(row, in_body)
    if body is None:
        assert (row.body, sorted(fields)) == (None, [])
        return
    assert row.body is not None or fields, f"{row.operation} takes a body: say body={{}}"
    known = body.get("properties", {})
    assert sorted({*fields, *(row.body or {})} - set(known)) == []
    always = {*(row.body or {}), *(one for one, param in fields.items() if param.default is not None)}
    assert set(body.get("required", ())) <= always


@pytest.mark.parametrize("name", CALLING)
def test_what_can_be_chosen_is_what_the_api_takes(name: str) -> None:
    row = _rows()[name]
    facts = {one["name"]: one["schema"] for one in _operation(row).get("parameters", ())}
    facts |= (_body_of(row) or {}).get("properties", {})
    for param in row.params:
        if isinstance(param.kind, tuple | list) and (taken := _choices(facts[param.name.lstrip("?")])):
            assert set(param.kind) <= taken, param.name


def _choices(schema: dict[str, Any]) -> set[str]:
    schema = _schema(schema)
    found = set(schema.get("enum", ()))
    for part in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        found |= _choices(part)
    return found


def test_each_setting_of_a_shop_that_a_change_takes_is_an_option() -> None:
    options = {param.name for name in ("set", "answers") for param in _rows()[f"shoal accounts {name}"].params}
    assert set(declared_in(Way.BODY)) - set(declared_by(AssistantSettings)) <= options, (
        "name its group in src/shoal/cli/commands/accounts.py"
    )


def test_most_commands_are_rows() -> None:
    assert len(_rows()) > 140
    assert len(CALLING) > 90
