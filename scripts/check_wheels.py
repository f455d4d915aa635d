"""Ask the package index whether each pin of ``requirements/run.txt`` has a wheel for a kind of machine.

``python scripts/check_wheels.py [aarch64]``. A Raspberry Pi and many small servers have no compiler: they need wheels.
``make release`` calls it; pip asks the index that it is configured for, and downloads what it must to compare hashes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).parents[1] / "requirements" / "run.txt"
VERSIONS = ("3.11", "3.12", "3.13")
SYSTEMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
"""C libraries as of Debian 10 or newer."""
FROM_SOURCE = {"http-ece"}
"""Published as source only, in pure Python: pip makes a wheel of them on any machine, without a compiler."""
_PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==[^\n]*(?:\n +[^\n]*)*\n?", re.MULTILINE)


def lacking(machine: str, version: str, pins: str) -> str:
    """Return what pip says when a pin has no wheel for this machine and this Python; nothing if all have."""
    platforms = [f"--platform={system}_{machine}" for system in SYSTEMS]
    with tempfile.TemporaryDirectory() as directory:
        wanted = Path(directory) / "pins.txt"
        wanted.write_text(pins, encoding="utf-8")
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"),
                *("--ignore-installed", "--no-deps", "--only-binary=:all:", "--require-hashes"),
                *(*platforms, f"--python-version={version}", "--implementation=cp", f"--target={directory}/none"),
                *("-r", str(wanted)),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    return "" if asked.returncode == 0 else asked.stderr.strip()[-1000:] or f"pip ended with {asked.returncode}"


def main(machine: str) -> int:
    """Print the result, and return the exit code."""
    pins = _PIN.finditer(PINS.read_text(encoding="utf-8"))
    wanted = [pin[0] for pin in pins if pin[1] not in FROM_SOURCE]
    complaints = {version: lacking(machine, version, "".join(wanted)) for version in VERSIONS}
    for version, complaint in complaints.items():
        result = complaint or f"all {len(wanted)} pins have a wheel; pure source: {', '.join(sorted(FROM_SOURCE))}"
        sys.stdout.write(f"Python {version} on {machine}: {result}\n")
    return int(any(complaints.values()))


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["aarch64"])))
