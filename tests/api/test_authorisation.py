"""Who may call what: every route of the table, by every kind of caller, about a shop of theirs, one that is shared with
them, and one of somebody else.

What is expected stands in a table written by hand (``authorisation_table.py``), not in the rule that each route
declares, so that a rule that is wrong is found. A new route needs a line there; where its path needs a name that is not
given here, or its content names a shop, the test asks for it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.types import Message, Scope

from api.authorisation_table import ALLOWED, CALLERS, REFUSED, Route, outcome_of, read_table
from doors import Door, open_door
from picture_files import a_png
from shoal.api.http.route_rules import ANYBODY, Asks, routes_of, rule_of
from shoal.auth.authorization import Authorization
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.errors import UnknownAccount
from shoal.server.reply_server import _ROUTES, build_app
from standins import cookie_of, quick_settings

UNKNOWN = "unknown_account"
MINE, THEIRS, NOBODYS = "shop", "foreign", "nowhere"
"""A shop of the owner's, shared with staff; one of a stranger's; one that is not there."""
STALE = {"if-match": '"g999999"'}
"""With it a change that is allowed goes all the way, and is refused as stale in the account's turn."""
TRY_ALL = {"administrator", "owner", "staff-read", "token-own", "token-for-others"}
"""Who asks about the shop that is not there, too: the answer is that about a shop of somebody else."""
REFUSALS = {code for _, code in REFUSED.values()}
TABLE = read_table()


@dataclass(frozen=True, kw_only=True)
class Somebody:
    """One kind of caller. ``permissions``: what they have on which shop."""

    name: str
    token: str = ""
    user_id: int = 0
    by_token: bool = False
    scope: Permission = Permission.OWN
    role: Role = Role.OWNER
    permissions: dict[str, Permission] = field(default_factory=dict)
    only: frozenset[str] | None = None

    def permission(self, account_id: str) -> Permission | None:
        given = self.permissions.get(account_id)
        return None if given is None else min(given, self.scope)


@dataclass(frozen=True, kw_only=True)
class World:
    """The server with its callers; ``revs``: a change of each shop."""

    door: Door
    callers: list[Somebody]
    revs: dict[str, int]


@asynccontextmanager
async def _world(data_dir: Path) -> AsyncIterator[World]:
    nowhere = {f"site_{name}_url": "http://127.0.0.1:9" for name in ("mtop", "passport", "upload")}
    settings: dict[str, Any] = {"session_calls_per_minute": 0, "api_token_calls_per_minute": 0, **nowhere}
    async with open_door(data_dir, **settings) as door:
        server = door.server
        callers = [
            Somebody(name="nobody"),
            Somebody(name="administrator", token=await server.sessions.open(1, 3600), user_id=1, role=Role.ADMIN),
        ]

        async def person(name: str, role: Role, permissions: dict[str, Permission]) -> Somebody:
            user = await server.users.create(name, "a password of theirs", role=role)
            token = await server.sessions.open(user.id, 3600)
            one = Somebody(name=name, token=token, user_id=user.id, role=role, permissions=permissions)
            callers.append(one)
            return one

        owner = await person("owner", Role.OWNER, {MINE: Permission.OWN})
        stranger = await person("stranger", Role.OWNER, {THEIRS: Permission.OWN})
        revs: dict[str, int] = {}
        for number, (one, account_id) in enumerate([(owner, MINE), (stranger, THEIRS)], 1):
            headers = {"Authorization": f"Bearer {one.token}"}
            await door.call("POST", "/cookies", json={"id": account_id, "value": cookie_of(number)}, headers=headers)
            body = {"remark": f"canary of {account_id}"}
            await door.call("PUT", f"/cookies/{account_id}/remark", json=body, headers=headers)
            revs[account_id] = door.account(account_id).rev
        partner = await person("partner", Role.OWNER, {MINE: Permission.OPERATE})
        await person("staff-none", Role.STAFF, {})
        given = (Permission.READ, Permission.REPLY, Permission.OPERATE)
        staff = [await person(f"staff-{permission.word}", Role.STAFF, {MINE: permission}) for permission in given]
        for one in [partner, *staff]:
            await server.authorization.give(door.account(MINE), one.user_id, one.permissions[MINE], given_by="test")
        for scope in Permission:
            token, _ = await server.api_tokens.make(owner.user_id, "x", scope, days=1)
            callers.append(
                Somebody(
                    name=f"token-{scope.word}", token=token, user_id=owner.user_id, by_token=True, scope=scope,
                    permissions=owner.permissions,
                )
            )  # fmt: skip
        token, _ = await server.api_tokens.make(owner.user_id, "x", Permission.OWN, days=1, only_accounts=[THEIRS])
        callers.append(
            Somebody(
                name="token-for-others", token=token, user_id=owner.user_id, by_token=True, only=frozenset({THEIRS})
            )
        )
        token, _ = await server.api_tokens.make(staff[-1].user_id, "x", Permission.OWN, days=1)
        callers.append(
            Somebody(
                name="token-of-staff", token=token, user_id=staff[-1].user_id, by_token=True, role=Role.STAFF,
                permissions=staff[-1].permissions,
            )
        )  # fmt: skip
        yield World(door=door, callers=callers, revs={**revs, NOBODYS: 999_999})


# ── how each is called ──────────────────────────────────────────────────────────────────────────────────────────────

NAMES: dict[str, str] = {
    "chat": "59000001", "index": "0", "invitation_id": "x", "item_id": "700000000001", "login_id": "x",
    "message_id": "x", "number": "1",
    "name": "x.png", "op_id": "x", "order_id": "1", "path": "x", "rule_id": "x", "session_id": "x", "token_id": "999",
    "user_id": "999", "username": "not-there",
}  # fmt: skip
"""What stands in a path, besides ``cid`` and ``rev``: of things that are not there, so that nothing is hurt."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a route is called about a shop, where its content names it, and how the answer is read."""

    body: Callable[[str], Any] | None = None
    query: Callable[[str], dict[str, Any]] | None = None
    headers: dict[str, str] = field(default_factory=lambda: STALE)
    outcome: Callable[[int, Any], str | None] = lambda _status, _answer: None


def _of_first_row(_: int, answer: Any) -> str | None:
    return answer["results"][0]["code"] or ALLOWED if isinstance(answer, dict) and "results" in answer else None


def _of_a_list(status: int, answer: Any) -> str | None:
    return UNKNOWN if status == 200 and not answer["items"] else None


def _of_an_entry(_: int, answer: Any) -> str | None:
    return UNKNOWN if isinstance(answer, dict) and answer.get("code") == "unknown_entry" else None


def _named(account_id: str) -> dict[str, Any]:
    return {"cid": account_id}


_HOOK = ("msg_time", "user_url", "send_user_id", "send_user_name", "item_id", "send_message", "chat_id")
RECIPES: dict[tuple[str, str], Recipe] = {
    ("PUT", "/cookies/status"): Recipe(
        body=lambda cid: {"updates": {cid: False}}, query=lambda _: {"dry_run": "1"}, headers={}, outcome=_of_first_row
    ),
    ("POST", "/cookies"): Recipe(body=lambda cid: {"id": cid, "value": cookie_of({MINE: 1, THEIRS: 2}.get(cid, 3))}),
    ("POST", "/qr-logins"): Recipe(body=lambda cid: {"account": cid}),
    ("POST", "/console/proxy-check"): Recipe(body=lambda cid: {"account": cid}),
    ("POST", "/xianyu/reply"): Recipe(body=lambda cid: {"cookie_id": cid, **dict.fromkeys(_HOOK, "1")}),
    ("DELETE", "/item-reply/batch"): Recipe(
        body=lambda cid: {"items": [{"cookie_id": cid, "item_id": "1"}]}, headers={}
    ),
    ("GET", "/history"): Recipe(query=_named, outcome=_of_a_list),
    ("POST", "/history/{rev}/undo"): Recipe(outcome=_of_an_entry),
    **{("GET", path): Recipe(query=_named) for path in ("/messages", "/sendings", "/chats", "/activity", "/orders")},
}  # fmt: skip
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/tokens"): {"name": "x"},
    ("POST", "/console/cookie-check"): {"value": cookie_of(3)},
    ("POST", "/users"): {"username": "somebody", "password": "correct horse battery staple"},
}
"""Where the example of the document would not do."""
_FILES = {
    "/pictures": ("image", a_png()),
    "/rules-file": ("file", b'{"rules":[]}'),
    "/keywords-import/{cid}": ("file", b"x"),
    "/keywords/{cid}/image": ("image", a_png()),
}
UNREPEATED = {"/system/keys/rotate", "/logout"}
"""What is done once only, by the first who may: all else can be done again and again."""


def _example(document: dict[str, Any], route: APIRoute, method: str) -> Any:
    operation = document["paths"].get(route.path, {}).get(method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = content["schema"]
    named = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][named]["examples"][0]


def _multipart(path: str) -> tuple[bytes, str] | None:
    if path not in _FILES:
        return None
    name, data = _FILES[path]
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x.xlsx"\r\n\r\n'.encode()
    word = b'\r\n--b\r\nContent-Disposition: form-data; name="keyword"\r\n\r\nk'
    return head + data + word + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


async def ask(
    door: Door, method: str, path: str, token: str, *, query: str = "", body: bytes = b"", headers: dict[str, str]
) -> tuple[int, bytes]:
    """One call, straight to the application: status and body. Of an endless answer its beginning."""
    sent = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "shoal.test", **sent}.items()],
        "client": ("127.0.0.1", 5), "server": ("shoal.test", 80), "state": {},
    }  # fmt: skip
    messages: asyncio.Queue[Message] = asyncio.Queue()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    calling = asyncio.create_task(door.app(scope, receive, messages.put))
    try:
        start = await _next(messages, calling)
        assert (b"x-content-type-options", b"nosniff") in start["headers"], path
        if (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]:
            return start["status"], b""
        content = b""
        while True:
            part = await _next(messages, calling)
            content += part.get("body", b"")
            if not part.get("more_body"):
                return start["status"], content
    finally:
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling


async def _next(messages: asyncio.Queue[Message], calling: asyncio.Task[Any]) -> Message:
    waiting = asyncio.create_task(messages.get())
    await asyncio.wait({waiting, calling}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done() and messages.empty():
        waiting.cancel()
        calling.result()
        raise AssertionError("no answer")
    return await waiting


def told(status: int, content: bytes) -> tuple[str, Any]:
    """How it ended: a refusal by its code, else ``allowed``; and the answer."""
    with suppress(ValueError):
        answer = json.loads(content)
        if status >= 400 and isinstance(answer, dict) and answer.get("code") in REFUSALS:
            return answer["code"], answer
        return ALLOWED, answer
    return ALLOWED, None


# ── the matrix ──────────────────────────────────────────────────────────────────────────────────────────────────────


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
    multipart, example = _multipart(route.path), _example(document, route, method)
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
                body = b"" if content is None else json.dumps(content).encode()
            yield Call(
                route=route, method=method, recipe=recipe, who=who, account_id=account_id, wanted=wanted, status=status,
                body=body, content_type=content_type,
            )  # fmt: skip


async def mismatches(world: World, routes: Iterable[APIRoute]) -> tuple[int, list[str]]:
    """Call every route as everybody about every shop. How many calls, and where the answer is another than promised."""
    document = world.door.app.openapi()
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
    return f"it tells of {leaked}" if leaked else ""


@pytest.mark.timeout(300)
async def test_f15_every_route_answers_everybody_as_the_table_says(tmp_path: Path) -> None:
    async with _world(tmp_path) as world:
        assert [who.name for who in world.callers] == list(CALLERS)
        routes = [route for route in routes_of(_ROUTES) if isinstance(route, APIRoute)]
        calls, found = await mismatches(world, routes)
        assert not found, "\n".join([f"{len(found)} of {calls}", *found])
        assert calls > 2_000


def test_f15_the_table_has_a_line_for_each_route_and_no_other() -> None:
    routes = [route for route in routes_of(_ROUTES) if isinstance(route, APIRoute)]
    there = {(method, route.path) for route in routes for method in route.methods or ()}
    missing, gone = sorted(there - TABLE.keys()), sorted(TABLE.keys() - there)
    assert not missing, f"write in tests/api/authorisation_table.py, by hand, who may call {missing}"
    assert not gone, f"take out of tests/api/authorisation_table.py what is no route any more: {gone}"


async def test_f15_a_route_that_declares_too_little_is_found_though_its_own_rule_agrees(tmp_path: Path) -> None:
    async def keys_for_everybody() -> dict[str, Any]:
        return {"keys": []}

    async with _world(tmp_path) as world:
        wrong = APIRoute("/system/keys", keys_for_everybody, methods=["GET"], dependencies=[ANYBODY])
        world.door.app.router.routes.insert(0, wrong)
        calls, found = await mismatches(world, [wrong])
        assert (calls, len(found)) == (len(CALLERS), len(CALLERS) - 1)
        assert any(line.startswith("GET /system/keys by owner about None: forbidden is promised") for line in found)
        unheard = APIRoute("/system/unheard-of", keys_for_everybody, methods=["GET"], dependencies=[ANYBODY])
        with pytest.raises(AssertionError, match="say there who may call it, by hand"):
            await mismatches(world, [unheard])


async def test_the_matrix_bites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def any_that_is_there(self: Authorization, _: Any, account_id: str, __: Permission) -> Any:
        if account_id not in self._accounts:
            raise UnknownAccount(account_id)
        return self._accounts[account_id]

    async with _world(tmp_path) as world:
        paths = {"/cookies/{cid}/remark", "/messages", "/system/keys"}
        routes = [route for route in routes_of(_ROUTES) if isinstance(route, APIRoute) and route.path in paths]
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
    ruled = [id(route) for route in routes_of(_ROUTES)]
    served = [found.original_route for found in iter_route_contexts(app.routes)]
    assert [getattr(route, "path", "") for route in served if id(route) not in ruled] == ["/openapi.json"]


def test_what_is_about_people_asks_for_a_sign_in() -> None:
    about = re.compile(r"/(me|users|sessions|invitations|tokens|security-log|change-admin-password)\b|/staff/")
    for route in routes_of(_ROUTES):
        rule = rule_of(route)
        assert rule is not None
        if about.search(route.path):
            assert rule.asks >= Asks.SESSION, route.path


def test_each_refusal_that_a_rule_can_cause_stands_in_the_document() -> None:
    document = build_app(quick_settings()).openapi()
    for route in routes_of(_ROUTES):
        rule = rule_of(route)
        if not isinstance(route, APIRoute) or rule is None or rule.asks is Asks.NOTHING:
            continue
        for method in route.methods or ():
            statuses = set(document["paths"][route.path][method.lower()]["responses"])
            needed = {"401", "429"} | (
                {"403"} if rule.asks >= Asks.SESSION or rule.permission > Permission.READ else set()
            )
            assert needed <= statuses, (method, route.path, needed - statuses)
