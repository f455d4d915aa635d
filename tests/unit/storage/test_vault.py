from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from shoal.errors import ConfigError, StoreError
from shoal.storage.vault import Vault, parse_keys

OLD, NEW = b"o" * 32, b"n" * 32


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def sealed_by(key: bytes, text: str = "cookie2=canary") -> bytes:
    return Vault([key]).seal(text, account_id="shop", column="accounts.cookie")


def opened(vault: Vault, sealed: bytes, account_id: str = "shop", column: str = "accounts.cookie") -> str:
    return vault.open(sealed, account_id=account_id, column=column)


@pytest.mark.parametrize("text", ["", "a", "cookie2=春天; x=🌱", "x" * 100_000])
def test_what_is_sealed_opens_again(text: str) -> None:
    assert opened(Vault([NEW]), sealed_by(NEW, text)) == text


def test_sealing_twice_gives_different_bytes() -> None:
    assert sealed_by(NEW) != sealed_by(NEW)


@pytest.mark.parametrize(("account_id", "column"), [("other", "accounts.cookie"), ("shop", "tokens.sealed")])
def test_a_sealed_value_is_worth_nothing_in_another_row_or_column(account_id: str, column: str) -> None:
    with pytest.raises(StoreError) as caught:
        opened(Vault([NEW]), sealed_by(NEW), account_id, column)
    assert caught.value.code == "unreadable_secret"


def test_the_border_between_account_and_column_cannot_be_moved() -> None:
    sealed = Vault([NEW]).seal("x", account_id="a", column="b:c")
    with pytest.raises(StoreError):
        opened(Vault([NEW]), sealed, "a:b", "c")


def test_a_persons_secret_is_worth_nothing_for_another_person_an_account_or_the_server() -> None:
    vault = Vault([NEW])
    sealed = vault.seal("JBSWY3DP", user_id=7, column="users.totp")
    assert vault.open(sealed, user_id=7, column="users.totp") == "JBSWY3DP"
    for whose in ({"user_id": 8}, {"account_id": "7"}, {"account_id": "user:7"}, {}):
        with pytest.raises(StoreError) as caught:
            vault.open(sealed, column="users.totp", **whose)
        assert caught.value.code == "unreadable_secret"


def test_the_servers_own_secret_is_nobody_elses() -> None:
    vault = Vault([NEW])
    sealed = vault.seal("smtp", column="server.mail")
    assert vault.open(sealed, column="server.mail") == "smtp"
    with pytest.raises(StoreError, match=r"the server\.mail of account server is damaged"):
        vault.open(sealed, account_id="server", column="server.mail")


def test_a_secret_of_an_account_and_a_person_at_once_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="of an account or of a user"):
        Vault([NEW]).seal("x", account_id="shop", user_id=1, column="c")


def test_a_key_that_is_taken_up_seals_and_the_old_one_still_opens() -> None:
    vault = Vault([OLD])
    before = vault.seal("a", account_id="shop", column="c")
    vault.take_up([NEW, OLD])
    after = vault.seal("b", account_id="shop", column="c")
    assert (vault.is_current(before), vault.is_current(after)) == (False, True)
    assert [vault.open(sealed, account_id="shop", column="c") for sealed in (before, after)] == ["a", "b"]
    assert Vault([NEW]).open(after, account_id="shop", column="c") == "b"


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    sealed = sealed_by(NEW)
    for position in range(len(sealed)):
        broken = bytearray(sealed)
        broken[position] ^= 1
        with pytest.raises(StoreError):
            opened(Vault([NEW]), bytes(broken))
        with pytest.raises(StoreError):
            opened(Vault([NEW]), sealed[:position])


def test_a_rotated_vault_opens_old_values_and_seals_new_ones() -> None:
    rotated = Vault([NEW, OLD])
    old = sealed_by(OLD)
    assert opened(rotated, old) == "cookie2=canary"
    assert not rotated.is_current(old)
    renewed = rotated.seal("x", account_id="shop", column="accounts.cookie")
    assert rotated.is_current(renewed)
    with pytest.raises(StoreError) as caught:
        opened(Vault([OLD]), renewed)
    assert caught.value.code == "missing_key"


def test_neither_repr_nor_errors_show_a_secret() -> None:
    vault = Vault([NEW])
    with pytest.raises(StoreError) as caught:
        opened(vault, sealed_by(OLD))
    with pytest.raises(ConfigError) as bad:
        parse_keys("not-a-key-canary", origin="SHOAL_SECRET_KEY")
    shown = repr(vault) + str(caught.value) + str(bad.value) + str(vars(caught.value)) + str(vars(bad.value))
    for secret in ("canary", text_of(NEW), NEW.hex(), "nnnn"):
        assert secret not in shown


@pytest.mark.parametrize("form", [text_of(NEW), base64.urlsafe_b64encode(NEW).decode().rstrip("="), NEW.hex()])
def test_a_key_may_be_hex_or_base64(form: str) -> None:
    assert parse_keys(f"# mine\n{form}  # remark\n", origin="x") == [NEW]


@pytest.mark.parametrize("text", ["", "# nothing\n", "short", "ab" * 31, text_of(NEW[:31]), "é" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_keys(text, origin="the key file")
    assert caught.value.code == "bad_secret_key"


def test_a_new_key_file_is_private_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret.key"
    sealed = Vault.load(path, create=True).seal("x", account_id="a", column="c")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["secret.key"]  # noqa: PTH208 - hidden left-overs count
    assert Vault.load(path, create=True).open(sealed, account_id="a", column="c") == "x"
    assert Vault.load(path, create=False).open(sealed, account_id="a", column="c") == "x"


def test_a_missing_key_file_is_not_made_over_sealed_data(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    with pytest.raises(ConfigError, match="put the file back") as caught:
        Vault.load(path, create=False)
    assert caught.value.code == "key_file_missing"
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    path.write_text(text_of(NEW))
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Vault.load(path, create=True)


def test_the_setting_comes_first_and_the_file_holds_older_keys(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text(text_of(OLD) + "\n")
    path.chmod(0o600)
    vault = Vault.load(path, text_of(NEW), create=False)
    assert opened(vault, sealed_by(OLD)) == opened(vault, sealed_by(NEW))
    assert vault.is_current(sealed_by(NEW))
    assert Vault.load(tmp_path / "absent", text_of(NEW), create=True).is_current(sealed_by(NEW))
    assert not (tmp_path / "absent").exists()


def test_a_key_file_with_rubbish_or_in_an_impossible_place_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        Vault.load(path, create=True)
    with pytest.raises(ConfigError, match="cannot be"):
        Vault.load(path / "below", create=True)
