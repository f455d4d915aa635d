"""Who may call what: every route of the table, by every kind of caller, about a shop of theirs, one that is shared with
them, and one of somebody else.

What is expected stands in a table written by hand (``authorisation_table.py``), not in the rule that each route
declares, so that a rule that is wrong is found. A new route needs a line there; where its path needs a name that is not
given here, or its content names a shop, the test asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from api.authorisation_callers import MINE, NOBODYS, THEIRS, Somebody, World, open_world, quick_reply_of
from api.authorisation_calls import (
    BODIES,
    NAMES,
    RECIPES,
    UNREPEATED,
    Recipe,
    ask,
    cheap_calls,
    example_of,
    multipart_of,
    told,
)
from api.authorisation_cells import Route, outcome_of, read_table
from api.authorisation_table import ALLOWED, CALLERS
from shoal.api.hot import hot
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.route_rules import ANYBODY, Asks, rule_of
from shoal.auth.authorization import Authorization
from shoal.auth.permission import Permission
from shoal.errors import UnknownAccount
from shoal.server.reply_server import build_app
from shoal.server.route_table import every_route
from support.servers.api_document import api_document
from support.site.standins import quick_settings

TRY_ALL = {"administrator", "owner", "staff-read", "token-own", "token-for-others"}
"""Who asks about the shop that is not there, too: the answer is that about a shop of somebody else."""

TABLE = read_table()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One cell: a route by one method, as somebody, about a shop."""

    route: APIRoute
    method: str
    recipe: Recipe
    who: Somebody
    account_id: str | None
    wanted: str
    status: int | None
    """With which a refusal is answered, unless the recipe tells it by the content of the answer."""
    body: bytes
    content_type: str

    def __str__(self) -> str:
        return f"{self.method} {self.route.path} by {self.who.name} about {self.account_id}"


def calls_of(world: World, route: APIRoute, method: str, document: dict[str, Any]) -> Iterator[Call]:
    """Every cell of a route."""
    at: Route = method, route.path
    assert at in TABLE, (
        f"{method} {route.path} is in no line of tests/api/authorisation_table.py: say there who may call it, by hand"
    )
    cells = TABLE[at]
    about_shops = len(cells["nobody"]) == 3
    assert not about_shops or "{cid}" in route.path or at in RECIPES, f"say in RECIPES what names a shop: {at}"
    recipe = RECIPES.get(at, Recipe())
    multipart, example = multipart_of(route.path), example_of(document, route, method)
    for who in world.callers if set(cells.values()) != {"y"} else world.callers[:1]:
        about: list[str | None] = [MINE, THEIRS, NOBODYS] if about_shops else [None]
        for account_id, letter in zip(about, cells[who.name], strict=True):
            status, wanted = outcome_of(letter)
            if (wanted == ALLOWED and route.path in UNREPEATED) or (account_id == NOBODYS and who.name not in TRY_ALL):
                continue
            if multipart is not None:
                body, content_type = multipart
            else:
                content_type = "application/json"
                named = account_id or MINE
                content = recipe.body(named) if recipe.body else BODIES.get(at, example)
                if at == ("POST", "/history/undo"):
                    content = {"revs": [world.revs[named]]}
                body = b"" if content is None else json.dumps(content).encode()
            yield Call(
                route=route, method=method, recipe=recipe, who=who, account_id=account_id, wanted=wanted, status=status,
                body=body, content_type=content_type,
            )  # fmt: skip


async def mismatches(world: World, routes: Iterable[APIRoute]) -> tuple[int, list[str]]:
    """Call every route as everybody about every shop. How many calls, and where the answer is another than promised."""
    document = api_document()
    calls, found = 0, []
    for route in routes:
        for method in sorted(route.methods or ()):
            for call in calls_of(world, route, method, document):
                calls += 1
                if problem := await _problem(world, call):
                    found.append(f"{call}: {problem}")
    return calls, found


async def _problem(world: World, call: Call) -> str:
    """What is wrong with the answer to one call, if anything is."""
    cid = call.account_id or MINE
    names = {**NAMES, "cid": cid, "rev": str(world.revs[cid])}
    if call.route.path.startswith("/ai-runs/"):
        names["run_id"] = str(world.runs[cid])
    if call.route.path.startswith("/quick-replies/"):
        names["reply_id"] = str(await quick_reply_of(world, cid))
    path = re.sub(r"{(\w+)(?::path)?}", lambda found: names[found[1]], call.route.path)
    query = urlencode(call.recipe.query(cid)) if call.recipe.query else ""
    headers = {**call.recipe.headers, "content-type": call.content_type}
    rev = world.door.server.manager.newest_rev
    status, answered = await ask(
        world.door, call.method, path, call.who.token, query=query, body=call.body, headers=headers
    )
    outcome, answer = told(status, answered)
    told_by_content = call.recipe.outcome(status, answer)
    outcome = told_by_content or outcome
    shown = f"{status} {answered[:300]!r}"
    if status >= 500 and status != 503:
        return shown
    if outcome != call.wanted:
        return f"{call.wanted} is promised, and it was {outcome}: {shown}"
    if told_by_content is None and call.status not in {None, status}:
        return f"{call.status} is promised: {shown}"
    if world.door.server.manager.newest_rev != rev:
        return "it changed something"
    hidden = [name for name in (MINE, THEIRS) if call.who.permission(name) is None]
    leaked = [name for name in hidden if f"canary of {name}".encode() in answered]
    return f"it tells about {leaked}" if leaked else ""


async def test_f15_every_route_answers_everybody_as_the_table_says(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        assert [who.name for who in world.callers] == list(CALLERS)
        routes = [route for route in every_route() if isinstance(route, APIRoute)]
        with cheap_calls():
            calls, found = await mismatches(world, routes)
        assert not found, "\n".join([f"{len(found)} of {calls}", *found])
        assert calls > 2_000


def test_f15_the_table_has_a_line_for_each_route_and_no_other() -> None:
    routes = [route for route in every_route() if isinstance(route, APIRoute)]
    there = {(method, route.path) for route in routes for method in route.methods or ()}
    missing, gone = sorted(there - TABLE.keys()), sorted(TABLE.keys() - there)
    assert not missing, f"write in tests/api/authorisation_table.py, by hand, who may call {missing}"
    assert not gone, f"take out of tests/api/authorisation_table.py what is no route any more: {gone}"


async def test_f15_a_route_that_declares_too_little_is_found_though_its_own_rule_agrees(tmp_path: Path) -> None:
    async def keys_for_everybody() -> dict[str, Any]:
        return {"keys": []}

    async with open_world(tmp_path) as world:
        wrong = ChangingRoute("/system/keys", keys_for_everybody, methods=["GET"], dependencies=[ANYBODY])
        world.door.app.router.routes.insert(0, wrong)
        calls, found = await mismatches(world, [wrong])
        assert (calls, len(found)) == (len(CALLERS), len(CALLERS) - 1)
        assert any(line.startswith("GET /system/keys by owner about None: forbidden is promised") for line in found)
        unheard = ChangingRoute("/system/unheard-of", keys_for_everybody, methods=["GET"], dependencies=[ANYBODY])
        with pytest.raises(AssertionError, match="say there who may call it, by hand"):
            await mismatches(world, [unheard])


async def test_the_matrix_bites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def any_that_is_there(self: Authorization, _: Any, account_id: str, __: Permission) -> Any:
        if account_id not in self._accounts:
            raise UnknownAccount(account_id)
        return self._accounts[account_id]

    async with open_world(tmp_path) as world:
        paths = {"/cookies/{cid}/remark", "/messages", "/system/keys"}
        routes = [route for route in every_route() if isinstance(route, APIRoute) and route.path in paths]
        calls, found = await mismatches(world, routes)
        assert calls > 100
        assert not found
        monkeypatch.setattr(Authorization, "require", any_that_is_there)
        _, found = await mismatches(world, routes)
        broken = {line.partition(" by ")[0] for line in found}
        # The change itself asks once more, in the account's turn.
        assert broken == {"GET /cookies/{cid}/remark", "GET /messages"}
        monkeypatch.setattr(Authorization, "check", lambda *_: None)
        _, found = await mismatches(world, [route for route in routes if route.path == "/cookies/{cid}/remark"])
        assert {line.partition(" by ")[0] for line in found} == {
            f"{method} {routes[0].path}" for method in ("GET", "PUT")
        }


def test_the_routers_hold_every_route_of_the_application() -> None:
    app = build_app(quick_settings())
    ruled = [id(route) for route in every_route()]
    served = [found.original_route for found in iter_route_contexts(app.routes) if found.original_route not in hot]
    assert [getattr(route, "path", "") for route in served if id(route) not in ruled] == []


def test_what_is_about_people_asks_for_a_sign_in() -> None:
    about = re.compile(r"/(me|users|sessions|invitations|tokens|security-log|change-admin-password)\b|/staff/")
    for route in every_route():
        rule = rule_of(route)
        assert rule is not None
        if about.search(route.path):
            assert rule.asks >= Asks.SESSION, route.path


def test_each_refusal_that_a_rule_can_cause_stands_in_the_document() -> None:
    document = api_document()
    for route in every_route():
        rule = rule_of(route)
        if not isinstance(route, APIRoute) or rule is None or rule.asks is Asks.NOTHING:
            continue
        if not route.include_in_schema:  # it answers 410 to all who may ask
            continue
        for method in route.methods or ():
            statuses = set(document["paths"][route.path_format][method.lower()]["responses"])
            needed = {"401", "429"} | (
                {"403"} if rule.asks >= Asks.SESSION or rule.permission > Permission.READ else set()
            )
            assert needed <= statuses, (method, route.path, needed - statuses)
