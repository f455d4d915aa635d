"""What a page says of ports, settings, files and units is so in the code: each is compared with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from shoal.config import Settings, load_settings
from shoal.network.addresses import is_loopback

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOWTO = DOCS / "howto"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
    if path.name != "CHANGELOG.md"
}
OTHERS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (*ROOT.glob("compose*.yaml"), *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()))
    if path.suffix != ".json"
}
SOURCES = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
BLOCK = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
LANGUAGES = pytest.mark.parametrize("language", ["", ".en"], ids=["zh", "en"])


def _page(name: str, language: str = "") -> str:
    return (HOWTO / f"{name}{language}.md").read_text("utf-8")


def _blocks(text: str) -> Iterator[str]:
    for match in BLOCK.finditer(text):
        yield match[2]


# ── ports ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_g21_each_port_of_this_machine_is_the_servers_or_one_that_the_page_sets() -> None:
    usual = {str(Settings.model_fields["port"].default)}
    seen = 0
    for name, text in {**PAGES, **OTHERS}.items():
        given = set(re.findall(r"(?:--port |PORT=|such as `http://127\.0\.0\.1:)(\d+)", text))
        found = set(re.findall(r"(?:127\.0\.0\.1|localhost|\[::1\]):(\d+)", text))
        seen += len(found)
        assert found <= usual | given, name
    assert seen > 10


def test_g21_a_firewall_is_opened_for_all_that_the_proxy_listens_on() -> None:
    """Caddy gets its certificate over port 80; with 443 alone it gets none."""
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    needed = {str(one).split(":", 1)[0] for one in composed["services"]["caddy"]["ports"]}
    assert needed == {"80", "443"}
    seen = 0
    for name, text in PAGES.items():
        for line in text.splitlines():
            named = set(re.findall(r"(?<![\d.])(80|443)(?!\d|\.\d)", line)) if re.search(r"port|端口", line) else set()
            seen += bool(named)
            assert named in (set(), needed), (name, line)
    assert seen >= 4


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_g21_each_setting_that_a_page_names_exists() -> None:
    known = {f"SHOAL_{name.upper()}" for name in Settings.model_fields}
    known |= set(re.findall(r"SHOAL_[A-Z_]+", SOURCES))
    composed = "".join(text for name, text in OTHERS.items() if name.startswith("compose"))
    known |= set(re.findall(r"\$\{(SHOAL_[A-Z_]+)", composed))
    for name, text in {**PAGES, **OTHERS}.items():
        for found in set(re.findall(r"SHOAL_[A-Z_]+", text)):
            group = found.endswith("_") and any(one.startswith(found) for one in known)  # SHOAL_BACKUP_KEEP_…
            assert found in known or group, (name, found)


@LANGUAGES
@pytest.mark.parametrize("page", ["vps", "install"])
def test_g21_who_opens_the_console_from_elsewhere_is_told_how_the_first_link_leads_there(
    page: str, language: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the page sets is a public address, before the command that starts the server there for the first time."""
    text = _page(page, language)
    (value,) = set(re.findall(r"\bSHOAL_PUBLIC_URL=(\S+?)(?=[`\s])", text))
    monkeypatch.setenv("SHOAL_PUBLIC_URL", value)
    public = load_settings(data_dir=str(tmp_path)).public_url
    assert urlsplit(public).hostname
    assert not is_loopback(urlsplit(public).hostname or "")
    starts = [match.start() for match in re.finditer(r"--host 0\.0\.0\.0|enable --now shoal", text)]
    assert starts
    assert all("SHOAL_PUBLIC_URL=" in text[:start] for start in starts)


def test_g21_the_page_of_the_sandbox_leads_a_server_to_each_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (DOCS / "sandbox.md").read_text("utf-8")
    port = re.search(r"shoal sandbox --port (\d+)", text)
    assert port is not None
    exported = dict(re.findall(r"^export (SHOAL_\w+)=(\S+)", text, re.MULTILINE))
    of_the_site = {name for name in Settings.model_fields if re.fullmatch(r"site_\w+_url", name)}
    assert set(exported) == {f"SHOAL_{name.upper()}" for name in of_the_site}
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(data_dir=str(tmp_path))
    for name in of_the_site:
        assert urlsplit(getattr(settings, name)).netloc == f"127.0.0.1:{port[1]}", name


# ── systemd ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unit(text: str) -> RawConfigParser:
    unit = RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
    return unit


def _data_dir(unit: RawConfigParser) -> str:
    return unit["Service"]["Environment"].removeprefix("SHOAL_DATA_DIR=")


@LANGUAGES
def test_g21_a_shell_beside_the_users_unit_is_told_of_the_same_data(language: str) -> None:
    """Else a command such as ``shoal backup`` works on another, empty directory."""
    text = _page("install", language)
    unit = _unit(next(block for block in _blocks(text) if "[Service]" in block))
    here = _data_dir(unit).replace("%h", "~")
    assert re.search(rf"^export SHOAL_DATA_DIR={re.escape(here)}\b", text, re.MULTILINE)


@LANGUAGES
def test_g21_the_page_says_how_the_unit_of_the_system_is_installed_and_the_unit_says_where(language: str) -> None:
    """Each said that the other says it."""
    file = (ROOT / "deploy" / "shoal.service").read_text("utf-8")
    service, text = _unit(file)["Service"], _page("install", language)
    commands = next(block for block in _blocks(text) if "deploy/shoal.service" in block)
    program = service["ExecStart"].split()[0]
    venv = program.removesuffix("/bin/shoal")
    assert f"python3 -m venv {venv}" in commands
    assert f"{venv}/bin/pip install" in commands
    assert re.search(
        rf"useradd .*--home-dir {re.escape(service['WorkingDirectory'])} .*\b{service['User']}$", commands, re.MULTILINE
    )
    assert "enable --now shoal" in commands
    assert service["EnvironmentFile"].removeprefix("-") in commands
    assert f"sudo -u {service['User']} SHOAL_DATA_DIR={_data_dir(_unit(file))} {program}" in text
    assert "docs/howto/install.en.md" in file
    assert not re.search(r"^# .*\b(useradd|venv|systemctl)\b", file, re.MULTILINE)


# ── sentences ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_g21_no_item_of_a_page_ends_in_the_middle_of_a_sentence() -> None:
    """As "what it gives, each with an" did."""
    waits = re.compile(r"\b(?:an?|the|of|with|and|or|to|for|by|from|as|its|their|each|which|that|are)$")
    begins = re.compile(r"\s*(?:[-*|#>]|\d+\. |$|```)")
    unfinished = []
    for name, text in PAGES.items():
        plain = BLOCK.sub("\n", text).splitlines()
        for line, after in zip(plain, [*plain[1:], ""], strict=True):
            if not line.startswith("#") and waits.search(line.rstrip()) and begins.match(after):
                unfinished.append((name, line))
    assert unfinished == []
