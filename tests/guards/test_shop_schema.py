"""What is made from the declarations of settings and committed is current: `make generated` writes it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from shoal.maintenance.shop_file.export import SETTINGS
from shoal.maintenance.shop_file.shapes import schema

FILE = Path(__file__).parents[2] / "docs" / "shops.schema.json"


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == schema(), "run: make generated"


def test_an_editor_learns_of_every_setting_and_that_others_are_wrong() -> None:
    settings = schema()["$defs"]["SettingsPart"]
    assert tuple(settings["properties"]) == SETTINGS
    assert settings["additionalProperties"] is False


def test_the_rows_of_the_console_are_those_of_the_declarations() -> None:
    spec = importlib.util.spec_from_file_location("console_settings", FILE.parents[1] / "scripts/console_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in ((module.ROWS, module.rows()), (module.TEXTS, module.texts())):
        assert path.read_text(encoding="utf-8") == text, "run: make generated"
