"""Write the OpenAPI document to a file: ``python scripts/openapi_file.py FILE``. Starts no server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shoal.config import load_settings
from shoal.server.reply_server import build_app

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(build_app(load_settings()).openapi()))
