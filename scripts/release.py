"""Build a release twice, and check it in a clean environment: ``python scripts/release.py DIRECTORY``.

``make release`` calls it. In the directory are then the sdist, the wheel with console and help, its pins, the image,
the bills of materials, and ``SHA256SUMS``. Both builds start from what is committed and must be equal, byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = dict.fromkeys(("MTOP", "PASSPORT", "UPLOAD"), "http://127.0.0.1:9") | {"WS": "ws://127.0.0.1:9/"}
"""The checked server talks to no site."""
START_SECONDS = 120
PAGES = ("/health", "/", "/help/", "/help/en/")
COMPANIONS = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("compose*.yaml"), *(ROOT / "deploy").rglob("*")])
    if path.is_file()
)
"""Files that a user without the source needs beside the image or the wheel: compose files, and all of ``deploy``."""


def main() -> int:
    """Build, compare, check, and write the sums."""
    parser = argparse.ArgumentParser(description="Build a release, twice, and check it.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--sbom-tool", help="the program cyclonedx-py; without it there is no bill of materials")
    parser.add_argument("--without-index", action="store_true", help="do not ask the index for wheels for aarch64")
    chosen = parser.parse_args()
    if _output_of("git", "status", "--porcelain"):
        raise SystemExit("commit your changes first: a release is made from what is committed")
    must_be_described((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), metadata.version("shoal"))
    os.environ["SOURCE_DATE_EPOCH"] = _output_of("git", "log", "-1", "--format=%ct")
    shutil.rmtree(chosen.directory, ignore_errors=True)
    chosen.directory.mkdir(parents=True)
    target = chosen.directory.resolve()
    with tempfile.TemporaryDirectory(prefix="shoal-release-") as place:
        work = Path(place)
        wheel, version = _packages(work, target)
        python = _clean_environment(work / "environment", wheel)
        _log("starting it in a clean environment")
        _starts(python.with_name("shoal"), work / "data")
        shutil.copy(ROOT / "requirements" / "run.txt", target / f"shoal-{version}.requirements.txt")
        _image(python, work, target / f"shoal-{version}-image.tar.gz")
        if chosen.sbom_tool:
            _run(sys.executable, "scripts/sbom.py", chosen.sbom_tool, str(python), str(target))
    for name in COMPANIONS:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    if not chosen.without_index:
        _run(sys.executable, "scripts/check_wheels.py", "aarch64")
    write_sums(target)
    return 0


def _packages(work: Path, target: Path) -> tuple[Path, str]:
    """Build sdist and wheel twice, from two copies of what is committed. Return the wheel and the version."""
    made: list[dict[str, str]] = []
    for number in (1, 2):
        _log(f"building wheel and sdist, {number} of 2")
        source, built = work / f"source{number}", work / f"built{number}"
        _export(source)
        _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source))
        made.append({path.name: _digest(path) for path in sorted(built.iterdir())})
    must_be_equal(made)
    for name in made[0]:
        shutil.copy(work / "built1" / name, target / name)
    (wheel,) = target.glob("*.whl")
    return wheel, wheel.name.split("-")[1]


def _export(target: Path) -> None:
    target.mkdir()
    archive = target.with_suffix(".tar")
    _run("git", "archive", "--format=tar", "-o", str(archive), "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def _clean_environment(target: Path, wheel: Path) -> Path:
    """Install the pins and the wheel as a user does. Return the environment's Python."""
    _log("installing into a clean environment")
    _run(sys.executable, "-m", "venv", str(target))
    pip = (str(target / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / "run.txt"))
    _run(*pip, "install", "--no-deps", "--no-index", str(wheel))
    _run(*pip, "check")
    return target / "bin" / "python"


@contextmanager
def _server(command: Path, data: Path) -> Iterator[str]:
    """Run a server on a new data directory, with no settings of this machine; yield its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHOAL_", "PYTHON"))}
    environment |= {f"SHOAL_SITE_{name}_URL": url for name, url in SITE.items()}
    environment |= {"SHOAL_DATA_DIR": str(data), "SHOAL_PORT": "0", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    output = data.with_suffix(".out")
    with output.open("wb") as file:
        process = subprocess.Popen([str(command), "serve"], stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            until = time.monotonic() + START_SECONDS
            while "listening at " not in (written := output.read_text()):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server does not start:\n{written[-3000:]}")
                time.sleep(0.2)
            yield written.rpartition("listening at ")[2].split()[0]
        finally:
            process.terminate()
            code = process.wait(60)
    if code != 0:
        raise SystemExit(f"the server ended with {code}:\n{output.read_text()[-3000:]}")


def _starts(command: Path, data: Path) -> None:
    """Start the server, and ask for its health, its console and its help. Raise ``SystemExit`` when one is missing."""
    with _server(command, data) as url:
        for page in PAGES:
            with urllib.request.urlopen(f"{url}{page}", timeout=60) as answer:  # noqa: S310  of this machine
                if answer.status != 200:
                    raise SystemExit(f"{page} answers {answer.status}")


def _image(python: Path, work: Path, target: Path) -> None:
    """Make the image twice. Both must be equal."""
    made = []
    for number in (1, 2):
        _log(f"building the image, {number} of 2")
        image = work / f"image{number}.tar.gz"
        _run(str(python), "scripts/rootfs.py", str(work / f"root{number}"), "--image", str(image))
        made.append({target.name: _digest(image)})
    must_be_equal(made)
    shutil.copy(work / "image1.tar.gz", target)


def must_be_described(changelog: str, version: str) -> None:
    """Raise ``SystemExit`` unless the changelog begins with a dated section of the version, and lists nothing above."""
    unreleased, *sections = re.split(r"^## (?!Unreleased)", changelog, flags=re.MULTILINE)
    newest = sections[0] if sections else ""
    if not re.match(rf"{re.escape(version)} – \d{{4}}-\d\d-\d\d\n+\S", newest):
        raise SystemExit(f"CHANGELOG.md has no section “## {version} – date” first: say what changes for users")
    if unreleased.partition("## Unreleased")[2].strip():
        raise SystemExit(f"CHANGELOG.md lists changes under Unreleased: move them to the section of {version}")


def must_be_equal(made: list[dict[str, str]]) -> None:
    """Raise ``SystemExit`` unless both builds have the same files with the same sums."""
    if made[0] != made[1]:
        raise SystemExit(f"two builds differ:\n{made[0]}\n{made[1]}")


def write_sums(target: Path) -> None:
    """Write ``SHA256SUMS``, and print each file's size and sum."""
    files = sorted(path for path in target.rglob("*") if path.is_file())
    lines = [f"{_digest(path)}  {path.relative_to(target).as_posix()}\n" for path in files]
    (target / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    for path, line in zip(files, lines, strict=True):
        sys.stdout.write(f"{path.stat().st_size / 1e6:8.2f} MB  {line}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SystemExit(f"this failed: {' '.join(command)}")


def _output_of(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _log(what: str) -> None:
    sys.stderr.write(f"release: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
