"""The list of Shoal's components: those it needs and no others, and nothing about the machine that wrote it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    """Import the script."""
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "scripts" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_names_what_runs_with_shoal_and_not_what_its_tests_need(sbom: ModuleType) -> None:
    names = sbom.needed_by("shoal")
    assert {"aiohttp", "multidict", "cryptography", "psycopg-binary", "starlette"} <= names
    assert not {"pytest", "mypy", "playwright", "schemathesis"} & names


def test_no_path_and_no_address_of_where_something_was_fetched_is_left(sbom: ModuleType) -> None:
    component = {
        "bom-ref": "a==1", "name": "A_b", "version": "1",
        "properties": [{"name": "path", "value": "/home/ann/.venv"}],
        "externalReferences": [
            {"type": "distribution", "url": "https://mirror.example/a-1.whl"},
            {"type": "other", "url": "file:///home/ann/a"},
            {"type": "website", "url": "https://a.example"},
        ],
    }  # fmt: skip
    other = {"bom-ref": "c==1", "name": "c", "version": "1"}
    bom = {"components": [component, other], "dependencies": [{"ref": "a==1", "dependsOn": ["c==1"]}]}
    pruned = sbom.pruned(bom, {"a-b"})
    assert [one["name"] for one in pruned["components"]] == ["A_b"]
    assert pruned["dependencies"] == [{"ref": "a==1", "dependsOn": []}]
    text = json.dumps(pruned)
    assert "https://a.example" in text
    assert not any(word in text for word in ("/home/ann", "mirror.example"))
