"""What is permitted does not depend on the Python version: the test runs each one that is installed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest

import shoal
from shoal.network.outbound import Outbound
from shoal.server.tls import Certificate
from support.network.certificates import certificate
from support.network.judged_addresses import INSIDE, OUTSIDE

SUPPORTED = ("3.11", "3.12", "3.13")
_ASKED = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from shoal.network.public_addresses import is_public, meanings
from shoal.server.tls import Certificate
texts, file = json.loads(sys.argv[2]), Path(sys.argv[3])
context = Certificate(file, file).context()
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "public": [bool(meanings(text)) and all(is_public(one) for one in meanings(text)) for text in texts],
    "least": context.minimum_version.name,
    "ciphers": [[cipher["name"], cipher["aead"]] for cipher in context.get_ciphers()],
}))
"""


def judgement(python: str, texts: list[str], file: Path) -> dict[str, Any] | str:
    """Return the results of that Python, or why it cannot run. It needs none of our packages."""
    command = [python, "-I", "-c", _ASKED, str(Path(shoal.__file__).parents[1]), json.dumps(texts), str(file)]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode == 0:
        found: dict[str, Any] = json.loads(asked.stdout)
        return found
    return asked.stderr.strip()[-200:] or f"exit code {asked.returncode}"


def interpreters(version: str) -> list[str]:
    """Return every interpreter of that version in PATH or in the system: two builds of one version may differ."""
    name = f"python{version}"
    found = {path for path in (which(name), f"/usr/bin/{name}") if path and Path(path).exists()}
    return sorted(found)


@pytest.mark.parametrize("version", SUPPORTED)
def test_f14_what_is_permitted_is_the_same_under_every_python_that_is_here(version: str, tmp_path: Path) -> None:
    certificate(tmp_path, "localhost")
    file = tmp_path / "localhost.pem"
    file.chmod(0o600)
    texts = [text for text in INSIDE if text] + OUTSIDE
    ciphers = [[cipher["name"], cipher["aead"]] for cipher in Certificate(file, file).context().get_ciphers()]
    told = {python: judgement(python, texts, file) for python in interpreters(version)}
    assert not [one for one in told.values() if "ModuleNotFoundError" in one], "it needs none of our packages"
    usable = [one for one in told.values() if isinstance(one, dict) and one["version"] == version]
    if not usable:
        pytest.skip(f"no Python {version} is installed that can be asked: {told or 'none found'}")
    for one in usable:
        assert one["public"] == [Outbound().permits(text) for text in texts]
        assert one["least"] == "TLSv1_2"
        assert one["ciphers"], f"this test runs under {sys.version}"
        strong = [name for name, aead in one["ciphers"] if aead and name.startswith(("TLS_", "ECDHE-"))]
        assert strong == [name for name, _ in one["ciphers"]]
        assert {name for name, _ in ciphers} == set(strong)
