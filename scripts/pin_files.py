"""Take two lists of pins out of ``requirements/dev.txt``: ``python scripts/pin_files.py``.

``run.txt`` has what an installed Shoal needs, with its optional traces; ``build.txt`` what the help and the wheel are
built with. ``make pins`` calls it after a renewal.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.needed_packages import needed_by  # noqa: E402  it lies beside this file

PINS = ROOT / "requirements"
OPTIONAL = ("otel",)
BUILD = ("build", "editables", "hatchling", "jieba", "mkdocs", "mkdocs-material", "mkdocs-static-i18n")
ENVIRONMENTS = [
    {
        "python_version": version,
        "python_full_version": f"{version}.9",
        "platform_machine": machine,
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
    }
    for version in ("3.11", "3.12", "3.13")
    for machine, system in (("x86_64", "linux"), ("aarch64", "linux"), ("arm64", "darwin"))
]
"""Where Shoal runs."""
_PIN = re.compile(r"^[a-z0-9][^\n]*(?:\n[ #][^\n]*)*\n?", re.MULTILINE)


def lists() -> dict[str, str]:
    """Return the text of both files."""
    pins = [found[0] for found in _PIN.finditer((PINS / "dev.txt").read_text(encoding="utf-8"))]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runs = [*project["dependencies"], *(one for name in OPTIONAL for one in project["optional-dependencies"][name])]
    wanted = {"run.txt": _all(runs), "build.txt": _all(BUILD)}
    return {file: "".join(f"{pin.rstrip()}\n" for pin in pins if _name(pin) in names) for file, names in wanted.items()}


def _all(roots: Sequence[str]) -> set[str]:
    """Return the names of these packages and of all that they need."""
    own = {canonicalize_name(Requirement(root).name) for root in roots}
    return own | needed_by(*roots, environments=ENVIRONMENTS)


def _name(pin: str) -> str:
    return canonicalize_name(pin.partition("==")[0].strip())


if __name__ == "__main__":
    for name, text in lists().items():
        (PINS / name).write_text(text, encoding="utf-8")
