"""Settings are declared once and checked at the door."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from shoal.cli.session import chosen_url
from shoal.config import Settings, load_settings
from shoal.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent


def test_the_defaults_hold_and_listen_on_loopback_only() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoal.toml").write_text('port = 9000\nlog_level = "DEBUG"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOAL_PORT", "9001")
    settings = load_settings()
    assert (settings.port, settings.log_level) == (9001, "DEBUG")


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("SHOAL_PROT", "1", "SHOAL_PROT"),
        ("SHOAL_PORT", "70000", "SHOAL_PORT"),
        ("SHOAL_PORT", "eighty", "SHOAL_PORT"),
        ("SHOAL_LOG_LEVEL", "LOUD", "SHOAL_LOG_LEVEL"),
        ("SHOAL_TRUSTED_PROXIES", "10.0.0.1, 0.0.0.0/0", "SHOAL_TRUSTED_PROXIES"),
        ("SHOAL_TRUSTED_PROXIES", "::/0", "SHOAL_TRUSTED_PROXIES"),
        (
            "SHOAL_NODE_ADDRESS",
            "10.0.0.5:8080",
            r"SHOAL_NODE_ADDRESS\) is not valid; it looks like https://10.0.0.5:8080",
        ),
        ("SHOAL_NODE", "n" * 61, r"SHOAL_NODE\).*\b60\b"),
        ("SHOAL_NODE", "Shop 1", r"SHOAL_NODE\) is not valid; it looks like node-1(?!\w)"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=named):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SHOAL_METRICS_TOKEN", "brief", "is too short: it has at least 16 characters"),
        ("SHOAL_ADMIN_PASSWORD", "brief", "is too short: it has at least 8 characters"),
        ("SHOAL_BACKUP_KEY", "k" * 201, "is too long: it has at most 200 characters"),
    ],
)
def test_the_length_of_a_text_is_told_in_characters(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"\({name}\) {said}") as caught:
        load_settings()
    assert value not in str(caught.value)


def test_an_empty_data_directory_is_refused_and_is_not_the_one_in_which_a_command_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match=r"data_dir .* is too short"):
        load_settings(data_dir="")
    assert load_settings(data_dir=".").data_dir == Path()
    monkeypatch.setenv("SHOAL_DATA_DIR", "")
    with pytest.raises(ConfigError, match="SHOAL_DATA_DIR"):
        load_settings()


def test_an_unknown_name_in_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoal.toml").write_text("prot = 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"prot in shoal\.toml is not a setting"):
        load_settings()


def test_another_file_may_be_named_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "other.toml"
    monkeypatch.setenv("SHOAL_CONFIG", str(named))
    with pytest.raises(ConfigError, match=r"other\.toml"):
        load_settings()
    named.write_text("port = 9000\n")
    assert load_settings().port == 9000


def test_a_broken_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoal.toml").write_text("port = = 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"shoal\.toml"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_SECRET_KEY", "k" * 64)
    assert "kkkk" not in repr(load_settings())


def test_the_page_lists_every_setting_as_it_is_declared() -> None:
    spec = importlib.util.spec_from_file_location("settings_table", ROOT / "scripts" / "settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "operating.md").read_text()
    assert module.page_with_table(page) == page, "run: python scripts/settings_table.py"
    assert all(f"`{name}`" in page for name in Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "value", "url"),
    [
        ("LANG", "C", "http://127.0.0.1:8080"),
        ("SHOAL_PORT", "9001", "http://127.0.0.1:9001"),
        ("shoal_host", "::1", "http://[::1]:8080"),
        ("SHOAL_CONFIG", "mine.toml", "http://127.0.0.1:9002"),
    ],
)
def test_a_command_finds_this_machines_server_where_the_settings_put_it(
    name: str, value: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOAL_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    Path("mine.toml").write_text("port = 9002\n")
    assert chosen_url(None) == url
    Path("shoal.toml").write_text("port = 9003\n")
    assert chosen_url(None) == (url.replace("8080", "9003"))
