"""Update the tables in ``docs/api.md``: ``python scripts/api_table.py``."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

from shoal.api.http.problem_table import PROBLEMS
from shoal.api.routes.reference import Operation, operations
from shoal.config import load_settings
from shoal.language.catalogue import ROOT, read_catalogue
from shoal.server.reply_server import build_app

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
CHANGE = "changed, generation, rev, state, op_id"
ENGLISH = read_catalogue(ROOT / "en")
BEGIN, END = "<!-- {}: made by scripts/api_table.py -->", "<!-- end of {} -->"


def routes() -> str:
    """Return a table of routes for each section, in the order of the OpenAPI document."""
    document = build_app(load_settings()).openapi()
    lines: list[str] = []
    for section, rows in groupby(operations(document), key=lambda operation: operation.section):
        lines += [f"### {section.capitalize()}", "", "| route | what it does | body | answer |", "|---|---|---|---|"]
        lines += [_row(operation) for operation in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def _row(operation: Operation) -> str:
    token = " (no token)" if operation.is_open else ""
    refusals = ", ".join(status for status in operation.statuses if status >= "300")
    answer = _code(operation.answer.replace(CHANGE, "…change")) or ("a stream" if "200" in operation.statuses else "–")
    return (
        f"| {_code(f'{operation.method} {operation.target}')}{token} | {_text(operation.description)} | "
        f"{_code(operation.body) or '–'} | {answer}{f'; {refusals}' if refusals else ''} |"
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def errors() -> str:
    """Return a table of all error codes, each with its status and English sentence."""
    lines = ["| code | status | meaning |", "|---|---|---|"]
    for code, problem in PROBLEMS.items():
        name, _, variant = code.partition("/")
        lines.append(f"| `{name}`{f' ({variant})' if variant else ''} | {problem.status} | {_text(_meaning(code))} |")
    return "\n".join(lines)


def _meaning(code: str) -> str:
    """Return the English sentence with the names of its params; of two plural forms, the second."""
    return re.sub(r"{(\w+):[^|{}]*\|([^{}]*)}", r"{\1} \2", ENGLISH[f"problems.{code}"])


def page_with_tables(page: str) -> str:
    """Return the page with new tables."""
    for name, table in (("routes", routes()), ("errors", errors())):
        begin, end = BEGIN.format(name), END.format(name)
        head, rest = page.split(begin, 1)
        page = f"{head}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE.name}\n")
