"""Update the table of commands and routes in ``docs/api.md``: ``python scripts/commands_table.py``.

Which route a command calls is said by its row, or read from the function that does its work: an operation stands there
as a text, such as ``GET /cookies/{cid}``. A route that no command calls has its reason in ``NOT_FOR_A_SHELL``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import typer

import shoal.cli
from shoal.api.routes.reference import operations
from shoal.cli.app import app
from shoal.cli.rows import Row
from shoal.config import load_settings
from shoal.server.reply_server import build_app

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
SOURCES = Path(shoal.cli.__file__).parent
BEGIN, END = "<!-- commands: made by scripts/commands_table.py -->", "<!-- end of commands -->"
_OPERATION = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /\S*[^/\s]")
MANY = 20
OLDER = "(older system)"
"""How the summary of a route ends that only scripts and front ends of the older system call."""
_OLD = "of the older system, for its scripts"
_PAGE = "a step of a page in a browser"
NOT_FOR_A_SHELL: Mapping[str, str] = {
    "POST /change-admin-password": f"{_OLD}; `shoal me password`",
    "POST /register": _PAGE,
    "GET /shops.schema.json": "editors ask for it; `shoal export --schema` prints it",
    "/console/session…": "the console's sign-in by a cookie; `shoal login`",
    "/join…": "a person opens the link in a browser",
    "/me/totp…": "the page shows the code to scan",
    "POST /me/recovery-codes": "the page shows them beside the app's code",
    "PUT /cookies/batch": "many at once, for the console and scripts; `shoal apply` changes several by a file",
    "POST /history/undo": "the console's undo of a batch; `shoal history undo` takes one",
    "GET /users/tokens": "the console's page of users; `shoal tokens list` lists one's own",
    "DELETE /users/{user_id}/tokens/{token_id}": "the console's page of users; `shoal tokens revoke` revokes one's own",
    "PUT /staff": "many at once, for the console and scripts; `shoal accounts share` shares one",
    "GET /staff": "for the console's choice of a colleague; `shoal accounts staff` lists those of a shop",
    "GET /activity/shops": "for the console's list of shops; `shoal accounts list` shows their state",
    "PUT /cookies/status": "many at once, for scripts; `shoal accounts enable` takes several",
    "GET /cookies/details": f"{_OLD}; `shoal accounts list --json`",
    "GET /cookies/check": _OLD,
    "PUT /cookies/{cid}": f"{_OLD}; `shoal accounts add` renews a cookie",
    "POST /console/cookie-check": _PAGE,
    "GET /cookies/{cid}/auto-confirm": f"{_OLD}; `shoal accounts show`",
    "GET /cookies/{cid}/remark": f"{_OLD}; `shoal accounts show`",
    "/cookies/{cid}/pause-duration…": f"{_OLD}; `shoal accounts set --pause`",
    "/cookies/{cid}/auto-confirm…": f"{_OLD}; `shoal accounts set --auto-confirm`",
    "/cookie/…": _OLD,
    "GET /backup/export": _OLD,
    "POST /backup/import": f"{_OLD}; `shoal import legacy`",
    "GET /admin/backup/list": f"{_OLD}; `shoal backup list`",
    "POST /xianyu/reply": "scripts ask it for the reply to a message",
    "/default-replies…": f"{_OLD}; `shoal accounts set --default-reply`",
    "/itemReplays…": f"{_OLD}; `shoal items`",
    "/item-reply/…": f"{_OLD}; `shoal items`",
    "/items…": f"{_OLD}; `shoal items`, `shoal deliveries check`",
    "/keywords…": f"{_OLD}; `shoal rules`",
    "POST /send-message": f"{_OLD}; `shoal chats send`",
    "GET /cookies/{cid}/history": "`shoal history list --account` reads it from all",
    "GET /cookies/{cid}/chats/{chat}/work": "`shoal chats list` shows most of it",
    "DELETE /cookies/{cid}/chats/{chat}/notes/{note_id}": "what people do on the page",
    "PUT /cookies/{cid}/chats/{chat}/seen": "what a page has shown",
    "/quick-replies…": "people insert them on the page",
    "GET /cookies/{cid}/items/{item_id}/card": "beside a chat; `shoal items`",
    "GET /api/orders": f"{_OLD}; `shoal orders list`",
    "GET /cookies/{cid}/orders": "`shoal orders list ACCOUNT` reads it from all",
    "GET /events": "`shoal accounts list --watch` follows it",
    "GET /health": "for watches; `shoal system health`",
    "GET /health/live": "for watches; `shoal doctor` asks it",
    "GET /health/ready": "`shoal system health` asks it",
    "GET /metrics": "for Prometheus",
    "/cards…": f"{_OLD}; `shoal goods`",
    "/delivery-rules…": f"{_OLD}; `shoal deliveries`",
    "/notification-channels…": f"{_OLD}; `shoal channels`",
    "/message-notifications…": f"{_OLD}; `shoal channels tells`",
    "GET /subscriptions": "all at once, for the page; `shoal channels tells`",
    "GET /push/key": "a browser subscribes with it",
    "/me/alerts…": "what open pages do",
    "GET /ai-providers/{provider_id}": "`shoal ai providers list` shows all of it",
    "GET /webhooks/{webhook_id}": "`shoal webhooks list` shows all of it",
    "GET /qr-logins": "the page goes on with a login that another one began",
    "/qr-login/…": f"{_OLD}; `shoal accounts qr`",
    "/imports…": "the steps of the page for moving in",
    "/backup/…": _OLD,
    "/admin/…": _OLD,
    "/login-info…": _OLD,
    "/registration-…": _OLD,
}
"""Why no command calls a route: by method and path, or, with ``…`` at the end, by how its path begins."""


@dataclass
class Function:
    """One function of the command line: the operations that it calls, and the functions that it names."""

    operations: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


def routes_of_commands() -> dict[tuple[str, str], list[str]]:
    """Return the commands that call each route, by method and path."""
    reached = list(_reached_by_commands())
    return {
        (one.method, one.path): [name for name, operations in reached if f"{one.method} {one.path}" in operations]
        for one in _operations()
    }


def unknown_operations() -> set[str]:
    """Return the operations in the sources of the command line that the API does not have."""
    named = set().union(*(function.operations for function in _functions().values()))
    return named - {f"{one.method} {one.path}" for one in _operations()}


def table() -> str:
    """Return the table: each route with its commands, or with the reason why there is none."""
    lines = ["| route | command |", "|---|---|"]
    for (method, path), commands in routes_of_commands().items():
        cell = ", ".join(f"`{one}`" for one in commands) or f"– ({reason_of(method, path) or '?'})"
        if len(commands) > MANY:
            cell = "every command that signs in"
        lines.append(f"| `{method} {path}` | {cell} |")
    return "\n".join(lines)


def reason_of(method: str, path: str) -> str:
    """Return why no command calls a route; empty when no reason is written down."""
    name = f"{method} {path}"
    if any(one.summary.endswith(OLDER) for one in _operations() if (one.method, one.path) == (method, path)):
        return _OLD
    fitting = [start for start in NOT_FOR_A_SHELL if name == start or (start.endswith("…") and _begins(name, start))]
    return NOT_FOR_A_SHELL[max(fitting, key=len)] if fitting else ""


def _begins(name: str, start: str) -> bool:
    start = start.removesuffix("…")
    return name.startswith(start) or name.partition(" ")[2].startswith(start)


@cache
def _operations() -> tuple[Any, ...]:
    return tuple(operations(build_app(load_settings()).openapi()))


def _reached_by_commands() -> Iterator[tuple[str, set[str]]]:
    signing_in = _closure("shoal.cli.session.signed_in") | {"POST /login"}
    for name, command in _commands("shoal", typer.main.get_command(app)):
        if name == "shoal demo":
            continue
        callback = command.callback
        while hasattr(callback, "__wrapped__"):
            callback = callback.__wrapped__
        row: Row | None = getattr(callback, "row", None)
        if row is None:
            yield name, _closure(f"{callback.__module__}.{callback.__name__}")
            continue
        called = {row.operation} if row.does is None else _closure(f"{row.does.__module__}.{row.does.__name__}")
        yield name, called if row.is_open else called | signing_in


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, one in command.commands.items():
        yield from _commands(f"{name} {part}", one)


def _closure(start: str) -> set[str]:
    """Return the operations of everything that a function reaches."""
    functions, found, seen, waiting = _functions(), set[str](), set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in functions:
            seen.add(name)
            found |= functions[name].operations
            waiting += functions[name].names
    return found


# ── the sources ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _functions() -> dict[str, Function]:
    found: dict[str, Function] = {}
    for file in SOURCES.rglob("*.py"):
        parts = file.relative_to(SOURCES.parent).with_suffix("").parts
        module = ".".join(("shoal", *parts)).removesuffix(".__init__")
        found |= _functions_of(module, ast.parse(file.read_text(encoding="utf-8")))
    return found


def _functions_of(module: str, tree: ast.Module) -> dict[str, Function]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = [node for node in tree.body if isinstance(node, kinds) and node.name != "ApiClient"]
    known = {node.name: f"{module}.{node.name}" for node in defined}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shoal.cli"):
            known |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return {f"{module}.{node.name}": _read(node, known) for node in defined}


def _read(function: ast.AST, known: Mapping[str, str]) -> Function:
    read = Function()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in known:
            read.names.add(known[node.id])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _OPERATION.fullmatch(node.value):
            read.operations.add(node.value)
    return read


def main() -> int:
    """Write the table."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
