"""The glossary is the one list of terms: the names of the API and the sentences for sellers keep to it, and some of the
words that it replaces name nothing in the code either."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shoal.language.catalogue import ROOT as CATALOGUES
from shoal.language.catalogue import read_catalogue
from support.servers.api_document import api_document

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "glossary.md"


@cache
def _terms() -> list[dict[str, str]]:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


def _banned_in(column: str) -> set[str]:
    return {word.strip() for term in _terms() for word in term[column].split(",") if word.strip()}


def _names(node: Any) -> set[str]:
    """The names of schemas, fields and parameters in an OpenAPI document."""
    found: set[str] = set()
    if isinstance(node, dict):
        found |= {*node.get("properties", {})}
        if "in" in node and "name" in node:
            found.add(node["name"])
        for part in node.values():
            found |= _names(part)
    elif isinstance(node, list):
        for part in node:
            found |= _names(part)
    return found


def test_no_name_of_the_api_is_a_word_that_the_glossary_replaces() -> None:
    document = api_document()
    schemas = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in document["components"]["schemas"]}
    names = _names(document) | schemas
    assert len(names) > 300
    banned = {word.replace(" ", "_") for word in _banned_in("not in names")}
    assert {name for name in names if any(f"_{word}_" in f"_{name}_" for word in banned)} == set()


NAMES_NOTHING = {"heard", "said", "told"}
"""Names with these words do not tell what they hold: a text, an answer, what was sent or received."""
_MAY_NAME = re.compile(r"(?<![a-z])(?:heard|said|told)(?![a-z])|Heard|Said|Told|HEARD|SAID|TOLD")
STORED_OR_SENT = {
    "event_links.py: told", "decisions.py: NOTHING_SAID", "decisions.py: SAID_ONCE", "rail_facts.py: OFFER_NOT_SAID",
}  # fmt: skip
"""Names that stand for what is stored, or sent to another server, under the same name."""


def _defined(tree: ast.Module) -> Iterator[str]:
    """The names that a module gives to variables, fields, parameters, functions and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def test_no_name_in_the_code_is_a_word_that_tells_nothing_of_its_value() -> None:
    assert _banned_in("not in names") >= NAMES_NOTHING
    found, seen = [], 0
    for path in sorted((ROOT / "src" / "shoal").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "migrations" in path.parts or _MAY_NAME.search(text) is None:
            continue
        for name in _defined(ast.parse(text)):
            seen += 1
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
            if NAMES_NOTHING.intersection(words):
                found.append(f"{path.name}: {name}")
    assert seen > 1000
    assert set(found) == STORED_OR_SENT


OLD_WORDS = {"problems.unknown_account/rules"}
"""Sentences of the system that sellers come from, which old scripts may compare."""


def _texts() -> list[str]:
    """The sentences of both catalogues: those of the server and those of the console."""
    texts = [
        text
        for language in ("zh", "en")
        for key, text in read_catalogue(CATALOGUES / language).items()
        if key not in OLD_WORDS
    ]
    for file in sorted((ROOT / "web" / "src").rglob("*.ts")):
        if re.search(r"[tT]exts\.ts$", file.name):
            texts += re.findall(r"'((?:[^'\\\n]|\\.)*)'", file.read_text(encoding="utf-8"))
    return texts


@pytest.mark.parametrize("word", sorted(_banned_in("not in texts")))
def test_no_sentence_has_a_word_that_the_glossary_replaces(word: str) -> None:
    texts = _texts()
    assert len(texts) > 1000
    pattern = re.compile(re.escape(word) if _is_chinese(word) else rf"\b{re.escape(word)}\b", re.IGNORECASE)
    assert [text for text in texts if pattern.search(text)] == []


def test_every_term_has_one_row_and_a_meaning() -> None:
    terms = [row["term"] for row in _terms()]
    assert len(terms) == len(set(terms)) > 30
    assert all(row["meaning"] for row in _terms())
    assert not _banned_in("not in names") & set(terms)
