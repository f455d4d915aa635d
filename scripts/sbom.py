"""Write Shoal's bills of materials as CycloneDX files: ``python scripts/sbom.py TOOL PYTHON DIRECTORY``.

``make sbom`` calls it. One file is for Python (what an installed Shoal needs, without the test dependencies), one for
the console. The output of ``cyclonedx-py`` and ``npm sbom`` contains paths of this machine and the addresses of its
package sources; they are removed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hatch_build import find_node  # noqa: E402  it lies beside this directory
from scripts.needed_packages import needed_by  # noqa: E402

Bom = dict[str, Any]
_PLACES = ("distribution", "vcs-local", "build-system")
"""Kinds of references that name where this machine got a package."""


def pruned(bom: Bom, names: Collection[str]) -> Bom:
    """Return a BOM with only the components of these (normalised) names, without places of this machine."""
    components = [without_places(one) for one in bom.get("components", ()) if canonicalize_name(one["name"]) in names]
    kept = {one["bom-ref"] for one in components}
    rows = [row for row in bom.get("dependencies", ()) if row["ref"] in kept]
    dependencies = [{**row, "dependsOn": sorted(kept.intersection(row.get("dependsOn", ())))} for row in rows]
    return {**bom, "components": components, "dependencies": dependencies}


def without_places(component: dict[str, Any]) -> dict[str, Any]:
    """Return the component without paths of this machine and addresses of package sources."""
    left = {name: value for name, value in component.items() if name not in {"properties", "evidence"}}
    references = [
        reference
        for reference in component.get("externalReferences", ())
        if reference["type"] not in _PLACES and not reference["url"].startswith("file:")
    ]
    left.pop("externalReferences", None)
    return {**left, "externalReferences": references} if references else left


def _of_python(tool: str, python: str) -> Bom:
    result = subprocess.run(
        [tool, "environment", python, "--output-reproducible", "--of", "JSON"], check=True, capture_output=True
    )
    return pruned(json.loads(result.stdout), needed_by("shoal[otel]"))


def _of_console() -> Bom:
    node = find_node()
    if node is None:
        raise RuntimeError("there is no Node: run `make console` first")
    with tempfile.TemporaryDirectory() as directory:
        for name in ("package.json", "package-lock.json"):  # npm requires a version of the console itself
            package = json.loads((ROOT / "web" / name).read_text(encoding="utf-8"))
            package["version"] = "0.0.0"
            if "packages" in package:
                package["packages"][""]["version"] = "0.0.0"
            Path(directory, name).write_text(json.dumps(package), encoding="utf-8")
        result = subprocess.run(
            [shutil.which("npm", path=str(node.parent)) or "npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "dev",
             "--package-lock-only"],
            cwd=directory, check=True, capture_output=True,
        )  # fmt: skip
    bom: Bom = json.loads(result.stdout)
    return {**bom, "components": [without_places(component) for component in bom["components"]]}


def main(tool: str, python: str, target: Path) -> None:
    """Write both files."""
    target.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name, bom in (("python", _of_python(tool, python)), ("console", _of_console())):
        root = {"type": "application", "name": "shoal", "version": version, "bom-ref": "shoal"}
        kept = {key: value for key, value in bom.get("metadata", {}).items() if key in {"timestamp", "tools"}}
        file = target / f"shoal-{version}.{name}.cdx.json"
        file.write_text(json.dumps({**bom, "metadata": {**kept, "component": root}}, indent=1), encoding="utf-8")
        print(f"{file}: {len(bom['components'])} components")  # noqa: T201  the script's answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
