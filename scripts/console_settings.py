"""Write the console's files about the settings of a shop: ``python scripts/console_settings.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shoal.accounts.setting_kinds import Flag, Line, Lines, Number, Reply, Way
from shoal.accounts.shop_settings import SETTINGS, Declared
from shoal.language.catalogue import translate
from shoal.language.choice import Language

CONSOLE = Path(__file__).parent.parent / "web" / "src" / "common"
ROWS = CONSOLE / "settings.ts"
TEXTS = CONSOLE / "settingTexts.ts"
KINDS = {Flag: "flag", Number: "number", Lines: "lines", Reply: "reply", Line: "line"}
SHOWN = {name: one for name, one in SETTINGS.items() if one.setting.help}
"""The settings of which the console's form has a row."""
BY = "Written by `make generated` from src/shoal/accounts/shop_settings.py and src/shoal/language."

HEAD = f"""\
/** The settings of a shop that the console shows. {BY} */
export interface Setting {{
  kind: {" | ".join(f"'{kind}'" for kind in KINDS.values())}
  group: string
  help: string
  isOptional: boolean
  isShared: boolean
  least?: number
  most?: number
  isWhole?: boolean
  unit?: string
}}
"""
TAIL = """\
export type SettingName = keyof typeof DECLARED
export const SETTINGS: Readonly<Record<SettingName, Setting>> = DECLARED
"""


def rows() -> str:
    """Return the file of the rows of the form."""
    made = {name: _row(one) for name, one in SHOWN.items()}
    return HEAD + f"const DECLARED = {_json(made)} as const satisfies Record<string, Setting>\n" + TAIL


def texts() -> str:
    """Return the file of their names and hints."""
    made = {
        language.value: {
            "fields": {name: translate(f"fields.{name}", language) for name in SETTINGS},
            "hints": {name: translate(f"fields.hint.{name}", language) for name in SHOWN},
        }
        for language in (Language.ZH, Language.EN)
    }
    head = f"/** What the settings of a shop are called, and what they mean. {BY} */"
    return f"{head}\nexport const settings = {_json(made)}\n"


def _row(one: Declared) -> dict[str, object]:
    setting = one.setting
    row: dict[str, object] = {
        "kind": KINDS[type(setting)],
        "group": one.group.__name__.removesuffix("Settings").lower(),
        "help": setting.help,
        "isOptional": one.is_optional,
        "isShared": Way.BATCH not in setting.out_of,
    }
    if isinstance(setting, Number):
        row |= {"least": setting.least, "most": setting.most, "isWhole": setting.kind is int, "unit": setting.unit}
    return row | ({"most": setting.most} if isinstance(setting, Line) else {})


def _json(made: object) -> str:
    return json.dumps(made, ensure_ascii=False, indent=2)


if __name__ == "__main__":
    ROWS.write_text(rows(), encoding="utf-8")
    TEXTS.write_text(texts(), encoding="utf-8")
    sys.stdout.write(f"wrote {ROWS.name} and {TEXTS.name}\n")
