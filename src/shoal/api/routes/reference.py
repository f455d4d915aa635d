"""The API reference, made from the OpenAPI document: rows for a table, and a page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from shoal.api.http.document import KeptDocument, Shown
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes

routes = Routes(include_in_schema=False)

Document = Mapping[str, Any]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.4em .8em .4em 0;text-align:left;vertical-align:top;"
    "border-top:1px solid #ccc}code{white-space:pre-wrap;overflow-wrap:anywhere}p{margin:0}"
)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of one method of one path."""

    section: str
    method: str
    path: str
    summary: str
    description: str
    query: tuple[str, ...]
    body: str
    answer: str
    statuses: tuple[str, ...]
    is_open: bool
    """Whether it needs no token."""

    @property
    def target(self) -> str:
        """Return the path and the query."""
        return self.path + ("?" + "&".join(self.query) if self.query else "")


def operations(document: Document) -> list[Operation]:
    """Return all operations of the document in its order, grouped by section."""
    found = [
        _operation(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    sections = list(dict.fromkeys(operation.section for operation in found))
    return sorted(found, key=lambda operation: sections.index(operation.section))


def _operation(document: Document, method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    body = next((kind["schema"] for kind in content.values()), None)
    answers = operation["responses"]
    success = answers.get("200", {}).get("content", {})
    return Operation(
        section=operation["tags"][0],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        query=tuple(row["name"] for row in operation.get("parameters", ()) if row["in"] == "query"),
        body="" if body is None else shape(document, body, marked=True),
        answer=shape(document, success["application/json"]["schema"]) if "application/json" in success else "",
        statuses=tuple(answers),
        is_open="security" not in operation,
    )


def shape(document: Document, schema: Mapping[str, Any], *, marked: bool = False, depth: int = 2) -> str:
    """Return a summary of a schema: ``{name, rows: [{…}]}``. If ``marked``, optional fields have a question mark."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return shape(document, found, marked=marked, depth=depth)
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(shape(document, part, marked=marked, depth=depth) for part in parts))
    if schema.get("type") == "array":
        return f"[{shape(document, schema['items'], marked=marked, depth=depth)}]"
    if "properties" in schema:
        return "{" + ", ".join(_fields(document, schema, marked, depth)) + "}" if depth else "{…}"
    inner = schema.get("additionalProperties")
    if isinstance(inner, Mapping) and inner:
        return f"{{name: {shape(document, inner, marked=marked, depth=depth)}}}"
    return str(schema.get("type", "any"))


def _fields(document: Document, schema: Mapping[str, Any], marked: bool, depth: int) -> Iterable[str]:
    required = set(schema.get("required", ()))
    for name, inner in schema["properties"].items():
        text = shape(document, inner, marked=marked, depth=depth - 1)
        mark = "?" if marked and name not in required else ""
        yield f"{name}{mark}: {text}" if text.startswith(("{", "[")) else f"{name}{mark}"


def page(document: Document) -> str:
    """Return the reference as an HTML page without scripts and without requests to other hosts."""
    title = f"{escape(document['info']['title'])} API"
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    words = f'{escape(document["info"]["summary"])} For programs: <a href="openapi.json">openapi.json</a>.'
    parts = [f"{head}</head><body><h1>{title}</h1><p>{words}</p>"]
    for section, rows in groupby(operations(document), key=lambda operation: operation.section):
        parts.append(f"<h2>{escape(section)}</h2><table><tr><th>route<th>what it does<th>body<th>answers</tr>")
        parts += [_row(operation) for operation in rows]
        parts.append("</table>")
    return "".join(parts) + "</body></html>"


def _row(operation: Operation) -> str:
    token = "" if not operation.is_open else " <em>(no token)</em>"
    return (
        f"<tr><td><code>{operation.method} {escape(operation.target)}</code>{token}"
        f"<td><p><strong>{escape(operation.summary)}</strong></p><p>{escape(operation.description)}</p>"
        f"<td><code>{escape(operation.body)}</code><td>{escape(', '.join(operation.statuses))}</tr>"
    )


async def shown_of(request: Request) -> Shown:
    """Return the document of the application, and its page."""
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = KeptDocument(request.app, page)
    kept: KeptDocument = state.document
    return await kept.shown()


@routes.get("/docs", dependencies=[ANYBODY])
async def get_docs(request: Request) -> HTMLResponse:
    """Show the reference as a page."""
    return HTMLResponse((await shown_of(request)).page, headers=_HEADERS)


@routes.get("/openapi.json", dependencies=[ANYBODY])
async def get_document(request: Request) -> Response:
    """Show the OpenAPI document."""
    return Response((await shown_of(request)).document, media_type="application/json")
