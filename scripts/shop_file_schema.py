"""Update ``docs/shops.schema.json``, the schema of files of shops: ``python scripts/shop_file_schema.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shoal.maintenance.shop_file.shapes import schema

FILE = Path(__file__).parent.parent / "docs" / "shops.schema.json"


def text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {FILE.name}\n")
