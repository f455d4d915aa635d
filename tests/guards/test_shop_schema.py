"""The committed schema of files of shops is the one of the models, and is a schema."""

from __future__ import annotations

import json
from pathlib import Path

from shoal.maintenance.shop_file.export import SETTINGS
from shoal.maintenance.shop_file.shapes import schema

FILE = Path(__file__).parents[2] / "docs" / "shops.schema.json"


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == schema(), "run: python scripts/shop_file_schema.py"


def test_an_editor_learns_of_every_setting_and_that_others_are_wrong() -> None:
    settings = schema()["$defs"]["SettingsPart"]
    assert tuple(settings["properties"]) == SETTINGS
    assert settings["additionalProperties"] is False
