"""Starts ``image.inside`` in namespaces of its own, where this machine permits that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 240


def command() -> list[str]:
    """Return the beginning of a command in new namespaces; a user without rights needs one of users for it."""
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *users, "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]


def why_not() -> str:
    """Return why nothing can be started in namespaces here; nothing if it can."""
    if sys.platform != "linux" or which("unshare") is None:
        return "there is no `unshare` here"
    within = [sys.executable, "-c", "import ctypes; raise SystemExit(ctypes.CDLL(None).unshare(0x10000000) != 0)"]
    tried = subprocess.run([*command(), *within], capture_output=True, text=True, timeout=60, check=False)
    return "" if tried.returncode == 0 else f"namespaces are not permitted here: {tried.stderr.strip()}"


def started(root: Path, data: Path) -> dict[str, Any]:
    """Start the files of the image, and return what the process inside saw."""
    data.mkdir(mode=0o700)
    said = subprocess.run(
        [*command(), sys.executable, "-m", "image.inside", str(root), str(data)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}/tests:{ROOT}"}, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    logs = "".join(path.read_text(errors="replace")[-1500:] for path in sorted(data.parent.glob("*.log")))
    assert said.returncode == 0, f"{said.stderr[-3000:]}\n{logs}"
    seen: dict[str, Any] = json.loads(said.stdout)
    return seen
