"""The Dockerfile names only what is there, and what the image made without Docker has too."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from scripts import rootfs
from scripts.image_file import CONFIG, ENVIRONMENT, HEALTH_CHECK
from shoal.config import Settings

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.11", "3.12", "3.13")


def lines_of(text: str) -> list[tuple[str, str]]:
    """Its instructions in order, each a word and the rest."""
    joined = re.sub(r"\\\n\s*", "", text)
    parts = (line.partition(" ") for line in joined.splitlines() if line and not line.startswith("#"))
    return [(word, rest.strip()) for word, _, rest in parts]


LINES = lines_of((ROOT / "Dockerfile").read_text(encoding="utf-8"))
IGNORED = [
    line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in {"", "#"}
]


def is_sent(name: str) -> bool:
    """Whether a path is in what Docker builds from: the last line of ``.dockerignore`` that fits it decides."""
    sent = True
    parts = Path(name).parts
    above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    for line in IGNORED:
        pattern = line.removeprefix("!").removeprefix("**/")
        candidates = [*above, *parts] if line.startswith("**/") else above
        if any(fnmatch(one, pattern) for one in candidates):
            sent = line.startswith("!")
    return sent


def copies() -> list[tuple[str, list[str]]]:
    """The stage that each COPY is from, empty for this repository, and its sources."""
    found = []
    for word, rest in LINES:
        if word == "COPY":
            options = [part for part in rest.split() if part.startswith("--")]
            stage = next((one.partition("=")[2] for one in options if one.startswith("--from=")), "")
            found.append((stage, rest.split()[len(options) : -1]))
    return found


def test_what_it_copies_is_there_and_sent() -> None:
    ours = [source for stage, sources in copies() for source in sources if not stage]
    assert {"web/package.json", "web/package-lock.json", "requirements/run.txt"} <= set(ours)
    for source in ours:
        assert (ROOT / source).exists(), source
        assert source == "." or is_sent(source.rstrip("/")), source


def test_what_its_steps_run_and_read_is_sent_and_nothing_that_was_built_here() -> None:
    steps = " ".join(rest for word, rest in LINES if word == "RUN")
    named = re.findall(r"(?:scripts|requirements)/\S+\.(?:py|txt)", steps)
    assert {"scripts/rootfs.py", "scripts/build_docs.py", "requirements/build.txt", "requirements/run.txt"} <= set(
        named
    )
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    built_from = [
        "hatch_build.py",
        "pyproject.toml",
        "mkdocs.yml",
        "docs",
        "src/shoal/__main__.py",
        "deploy/healthcheck.py",
    ]
    built_from += re.findall(r'"((?:README|LICENSE|CHANGELOG)[\w.-]*)"', project)
    for name in {*named, *built_from}:
        assert (ROOT / name).exists(), name
        assert is_sent(name), name
    for name in (
        "src/shoal/console/static/index.html",
        "web/node_modules/vue",
        ".git",
        ".venv",
        "src/shoal/__pycache__",
    ):
        assert not is_sent(name), name
    assert "SKIP_CONSOLE_BUILD" in (ROOT / "hatch_build.py").read_text(encoding="utf-8")


def test_its_stages_are_named_before_they_are_used_and_its_python_is_one_that_is_tested() -> None:
    stages: list[str] = []
    arguments = dict(rest.split("=", 1) for word, rest in LINES if word == "ARG")
    bases = {}
    for word, rest in LINES:
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            bases[name] = base
            stages.append(name)
        elif word == "COPY" and "--from=" in rest:
            assert re.findall(r"--from=(\S+)", rest)[0] in stages
    assert bases == {"console": "node:${NODE}-slim", "build": "python:${PYTHON}-slim", "": "scratch"}
    assert arguments["PYTHON"] in SUPPORTED
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (node,) = (
        one["with"]["node-version"] for one in workflow["jobs"]["test"]["steps"] if "setup-node" in one.get("uses", "")
    )
    assert arguments["NODE"] == node


@pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux")
def test_the_paths_of_its_last_stage_are_those_that_the_root_file_system_makes() -> None:
    told = dict(LINES)
    build = next(rest for word, rest in LINES if word == "RUN" and "rootfs.py" in rest)
    assert "scripts/rootfs.py /opt/root && mv /opt/root/data /opt/data" in build
    assert [(stage, sources) for stage, sources in copies() if sources[0].startswith("/opt/")] == [
        ("build", ["/opt/root/"]), ("build", ["/opt/data/"]),
    ]  # fmt: skip
    assert told["VOLUME"].lstrip("/") in rootfs.FOLDERS
    assert told["EXPOSE"] == str(Settings.model_fields["port"].default)
    assert list(CONFIG["ExposedPorts"]) == [f"{told['EXPOSE']}/tcp"]
    made = rootfs.collect()
    for path in (HEALTH_CHECK[0], HEALTH_CHECK[-1], *CONFIG["Entrypoint"], ENVIRONMENT["SSL_CERT_FILE"]):
        assert path.lstrip("/") in made, path
    assert ENVIRONMENT["PATH"] == "/usr/local/bin"


def test_compose_files_run_that_image_in_its_folders() -> None:
    for name in ("compose.yaml", "compose.local.yaml"):
        shoal = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"]["shoal"]
        assert [one.rpartition(":")[2] for one in shoal["volumes"]] == ["/data"]
        assert [one.partition(":")[0] for one in shoal["tmpfs"]] == ["/tmp"]
        assert shoal["build"] == "."
        for port in shoal.get("ports", ()):
            assert port.rpartition(":")[2] == "8080"
    local = yaml.safe_load((ROOT / "compose.local.yaml").read_text(encoding="utf-8"))["services"]["shoal"]
    assert local["user"] == "${SHOAL_UID:-10001}:${SHOAL_GID:-10001}"
    assert CONFIG["User"] == "10001:10001"
    proxied = (ROOT / "deploy/Caddyfile").read_text(encoding="utf-8")
    assert "reverse_proxy shoal:8080" in proxied
