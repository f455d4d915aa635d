"""How the two databases of a move are named, and that no password is taken from a command or shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cli.migrate_store import migrate_store
from shoal.errors import ConfigError
from shoal.language.choice import Language
from shoal.maintenance.backup.place import Place
from shoal.maintenance.store_migration.addresses import named_store, setting_of, shown
from shoal.maintenance.store_migration.migrating import look_at_stores

SET = "postgresql://shoal:s3cret@db/shoal?sslmode=require"


@pytest.mark.parametrize(
    ("name", "url", "address", "setting"),
    [
        ("sqlite:", "", "/data/shoal.db", ""),
        ("sqlite:/other/x.db", "sqlite:////other/x.db", "/other/x.db", "sqlite:////other/x.db"),
        ("sqlite:////data/shoal.db", "sqlite:////data/shoal.db", "/data/shoal.db", ""),
        ("postgresql:", SET, "postgresql+psycopg://shoal@db/shoal?sslmode=require", None),
        ("postgresql://shoal@db:5433/x", "postgresql://shoal@db:5433/x", "postgresql+psycopg://shoal@db:5433/x", None),
    ],
)
def test_a_database_is_named_in_short_or_in_full(name: str, url: str, address: str, setting: str | None) -> None:
    found = named_store(name, Place(data_dir=Path("/data"), url=SET, secret_key="k"))
    assert (found.url, found.data_dir, found.secret_key) == (url, Path("/data"), "k")
    assert shown(found) == address
    assert setting_of(found) == (address if setting is None else setting)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("postgresql://shoal:s3cret@db/shoal", "password_given"),
        ("postgresql://db/shoal?user=shoal&password=s3cret", "password_given"),
        ("postgresql://db:port/x", "bad_database_url"),
        ("mysql://root:s3cret@db/shoal", "unknown_store"),
        ("s3cret", "unknown_store"),
        ("postgresql:", "no_database_url"),
    ],
)
def test_a_name_that_says_too_much_or_nothing_is_refused_without_a_password_in_the_answer(name: str, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        named_store(name, Place(data_dir=Path("/data")))
    assert refused.value.code == code
    assert code == "unknown_store" or "s3cret" not in refused.value.sentence(Language.EN)
    assert "root" not in refused.value.sentence(Language.EN)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("postgresql:", "sqlite:", "Start PostgreSQL"),
        ("sqlite:/nonexistent/x.db", "postgresql:", "Start PostgreSQL"),
        ("sqlite:/nonexistent/x.db", "sqlite:", "one PostgreSQL database"),
    ],
)
def test_a_dry_run_says_what_to_do_about_a_server_that_is_down(
    source: str, target: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_DATABASE_URL", "postgresql://shoal:s3cret@127.0.0.1:1/shoal")
    with pytest.raises(ConfigError, match=said) as refused:
        migrate_store(source, target, data_dir=str(tmp_path), dry_run=True)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(("url", "said"), [("", "SHOAL_DATA_DIR"), ("sqlite:////nonexistent/x.db", "sqlite:")])
def test_a_file_that_is_not_there_is_named_with_what_named_it(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        look_at_stores(Place(data_dir=tmp_path, url=url), Place(data_dir=tmp_path, url=SET))
    assert (refused.value.code, said in str(refused.value)) == ("no_database", True)
    assert ("SHOAL_DATA_DIR" in str(refused.value)) is (url == "")
