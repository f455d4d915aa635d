"""A name of the query that a route does not take is refused, and the nearest one is named (G19)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.authorisation_calls import NAMES
from api.test_old_routes import rows_of_older_routes
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.older_routes import OLDER_ROUTES
from shoal.api.http.route_rules import Asks, rule_of
from shoal.server.route_table import every_route
from support.servers.api_document import api_document
from support.servers.doors import Door

BODY: dict[str, Any] = {"updates": {"shop": False}}

REFUSED: list[tuple[str, str, Any, str]] = [
    ("PUT", "/cookies/status?dryrun=1", BODY, "dry_run"),
    ("PUT", "/cookies/status?dry-run=1&mode=atomic", BODY, "dry_run"),
    ("PUT", "/cookies/status?Dry_Run=1", BODY, "dry_run"),
    ("PUT", "/cookies/status?dry_run=1&mod=atomic", BODY, "mode"),
    ("PUT", "/cookies/status?x=1", BODY, ""),
    ("POST", "/apply?dryrun=1", {"file": "version: 1\naccounts: {shop: {settings: {remark: new}}}\n"}, "dry_run"),
    ("DELETE", "/users/2?dryrun", None, "dry_run"),
    ("GET", "/history?acount=shop", None, "account"),
    ("GET", "/orders/export?acount=shop", None, "account"),
    ("GET", "/messages?limits=1", None, "limit"),
]


@pytest.mark.parametrize(("method", "target", "body", "near"), REFUSED)
async def test_g19_a_name_that_is_not_known_is_refused_with_the_nearest_one(
    door: Door, method: str, target: str, body: Any, near: str
) -> None:
    await door.server.users.create("ann", "a password of theirs")
    refused = await door.call(method, target, 422, json=body, headers={"Accept-Language": "en"})
    assert (refused["code"], refused["params"]["near"]) == ("unknown_parameter", near)
    assert near in refused["detail"]
    assert door.account().enabled
    assert door.account().remark == ""
    assert len(await door.server.users.list_users()) == 2


async def test_g19_every_route_that_asks_for_a_sign_in_or_changes_something_refuses_a_name_that_it_does_not_take(
    door: Door,
) -> None:
    older = _without_names(rows_of_older_routes())
    names = {**NAMES, "cid": "shop", "rev": "1", "reply_id": "1"}
    asked = 0
    for route in every_route():
        if not isinstance(route, APIRoute):
            continue
        for method in sorted(route.methods or ()):
            url = re.sub(r"{(\w+)(?::path)?}", lambda found: names[found[1]], route.path)
            rule = rule_of(route)
            is_open = rule is not None and rule.asks is Asks.NOTHING and method == "GET"
            if _without_name(f"{method} {route.path}") in older:
                assert isinstance(route, ChangingRoute)
                assert route.query_names is None, (method, route.path)
            elif not is_open:
                asked += 1
                answer = await door.client.request(method, f"{url}?no_such_name=1")
                assert answer.status_code == 422, (method, route.path, answer.text)
                assert answer.json()["code"] == "unknown_parameter", (method, route.path)
    assert asked > 150


def test_g19_the_names_that_a_route_takes_are_those_of_the_document() -> None:
    """A route finds them at ``Query`` in the signatures of its function and its dependencies."""
    document, differ = api_document()["paths"], []
    for route in every_route():
        if not isinstance(route, ChangingRoute) or route.query_names is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            rows = document[route.path_format][method.lower()].get("parameters", ())
            if (named := {row["name"] for row in rows if row["in"] == "query"}) != route.query_names:
                differ.append((method, route.path, named, route.query_names))
    assert not differ, f"write every parameter of a query as Annotated[…, Query(…)]: {differ}"


def test_g19_the_older_routes_are_those_of_the_page() -> None:
    assert _without_names(f"{method} {path}" for method, path in OLDER_ROUTES) == _without_names(rows_of_older_routes())


def _without_names(targets: Iterable[str]) -> set[str]:
    return {_without_name(target) for target in targets}


def _without_name(target: str) -> str:
    return re.sub(r"{\w+}", "{}", target)


async def test_g19_an_older_route_takes_what_it_took(door: Door) -> None:
    for target in ("/cookies?_t=1764740000", "/cookies/details?page=1", "/api/orders?status=all", "/logs?lines=1&x=2"):
        answer = await door.client.get(target)
        assert answer.status_code == 200, answer.text
    answer = await door.client.put("/cookies/shop/remark?_=1", json={"remark": "x"})
    assert answer.status_code == 200
    assert door.account().remark == "x"
    assert (await door.client.get("/health?probe=1")).status_code == 200


@pytest.mark.parametrize("query", ["mode=atomic", "mode=atomic&dry_run=1"])
@pytest.mark.parametrize("path", ["/cookies/status", "/cookies/batch"])
async def test_g19_too_many_ids_in_an_atomic_batch_are_told_the_limit(door: Door, path: str, query: str) -> None:
    ids = ["shop", *(f"nobody-{number}" for number in range(500))]
    body = {"updates": dict.fromkeys(ids, False)} if path.endswith("status") else {"accounts": ids, "add_tags": ["x"]}
    refused = await door.call("PUT", f"{path}?{query}", 422, json=body)
    assert (refused["code"], refused["params"]) == ("batch_too_large", {"limit": 500})
    assert "500" in refused["detail"]
    assert door.account().enabled


async def test_each_list_of_one_shop_calls_it_account_and_takes_the_earlier_name(door: Door) -> None:
    lists = [path for path, one in api_document()["paths"].items() if _names(one.get("get", {})) >= {"account", "cid"}]
    assert len(lists) >= 11
    await door.add("other", 2)
    for path in lists:
        for name in ("account", "cid"):
            assert (await door.client.get(path, params={name: "shop"})).status_code == 200, path
            refused = await door.call("GET", path, 404, params={name: "nobody"})
            assert refused["code"] == "unknown_account", path


def _names(operation: dict[str, Any]) -> set[str]:
    return {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
