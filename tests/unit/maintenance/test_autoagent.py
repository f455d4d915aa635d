"""What is read of XianyuAutoAgent: one shop from its ``.env``, with its model and prompts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from shoal.errors import InvalidInput
from shoal.maintenance.moving.autoagent import is_autoagent, packed, read_autoagent
from shoal.maintenance.moving.contract import contract_of
from shoal.maintenance.moving.old_shop import Fate, OldShop, Source

COOKIE = "unb=2200000000001; cookie2=abc; _m_h5_tk=x_1"
ENV = f"""API_KEY=sk-canary
COOKIES_STR={COOKIE}
MODEL_BASE_URL=https://models.example.com/v1
MODEL_NAME=qwen-max
TOGGLE_KEYWORDS=。
SIMULATE_HUMAN_TYPING=False
LOG_LEVEL=DEBUG
"""


def _folder(tmp_path: Path, env: str = ENV, **prompts: str) -> Path:
    home = tmp_path / "agent"
    (home / "prompts").mkdir(parents=True)
    (home / ".env").write_text(env, encoding="utf-8")
    for name, text in prompts.items():
        (home / "prompts" / f"{name}.txt").write_text(text, encoding="utf-8")
    return home


def _zipped(tmp_path: Path, home: Path) -> OldShop:
    file = tmp_path / "agent.zip"
    file.write_bytes(packed(home))
    return read_autoagent(file)


def _odd(shop: OldShop) -> dict[str, tuple[str, Fate]]:
    return {f"{one.table}:{one.row}": (one.code, one.fate) for one in shop.oddities}


def test_the_shop_is_named_by_its_sellers_number_and_has_its_model(tmp_path: Path) -> None:
    shop = _zipped(tmp_path, _folder(tmp_path, price_prompt="便宜一点", classify_prompt_example="分类"))
    (account,) = shop.accounts
    assert (shop.source, account.id, account.cookie, account.was_on) == (
        Source.AUTOAGENT,
        "2200000000001",
        COOKIE,
        True,
    )
    assert account.pause_duration == 60  # that system leaves a chat to its owner for an hour
    assert account.ai is not None
    assert account.ai.settings == {
        "api_key": "sk-canary",
        "base_url": "https://models.example.com/v1",
        "model_name": "qwen-max",
        "prompts": {"classify": "分类", "price": "便宜一点"},
    }
    assert _odd(shop) == {
        ".env:TOGGLE_KEYWORDS": ("env_toggle", Fate.CHANGED),
        ".env:": ("columns_unused", Fate.SKIPPED),
        "data/chat_history.db:": ("history_stays", Fate.SKIPPED),
        "prompts:price_prompt.txt": ("prompt_taken", Fate.TAKEN),
    }
    assert "canary" not in repr(shop)


def test_own_prompts_come_before_examples_and_others_are_named(tmp_path: Path) -> None:
    home = _folder(tmp_path, tech_prompt="own", tech_prompt_example="example", mine="x", default_prompt=" ")
    (home / "prompts" / "price_prompt.txt").write_bytes(b"\xff\xfe\x00")
    shop = _zipped(tmp_path, home)
    assert shop.accounts[0].ai is not None
    assert shop.accounts[0].ai.settings["prompts"] == {"tech": "own"}
    assert {key: code for key, (code, _) in _odd(shop).items() if key.startswith("prompts")} == {
        "prompts:tech_prompt.txt": "prompt_taken",
        "prompts:mine.txt": "prompt_unknown",
        "prompts:default_prompt.txt": "prompt_unreadable",
        "prompts:price_prompt.txt": "prompt_unreadable",
    }


@pytest.mark.parametrize(
    ("cookie", "code"),
    [
        ("your_cookies_here", "env_no_cookie"),
        ("", "env_no_cookie"),
        ("cookie2=abc", "env_cookie_without_unb"),
        ("nothing of the kind", "env_cookie_unreadable"),
        ("unb=1; unb=2", "env_cookie_unreadable"),
    ],
)
def test_a_cookie_that_names_no_seller_is_reported_and_the_model_still_waits(
    tmp_path: Path, cookie: str, code: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(ENV.replace(COOKIE, cookie), encoding="utf-8")
    shop = read_autoagent(file)
    assert shop.accounts == ()
    assert _odd(shop)[".env:COOKIES_STR"] == (code, Fate.SKIPPED)
    assert shop.waiting["model_name"] == "qwen-max"
    assert "prompts_absent" in {one.code for one in shop.oddities}


def test_the_folder_may_lie_in_the_zip_file_and_nothing_else_of_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "agent.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("XianyuAutoAgent-main/.env", ENV)
        archive.writestr("XianyuAutoAgent-main/prompts/price_prompt.txt", "便宜")
        archive.writestr("XianyuAutoAgent-main/data/chat_history.db", b"x" * 1_000_000)
        archive.writestr("XianyuAutoAgent-main/other/.env", "COOKIES_STR=unb=9; cookie2=z")
    shop = read_autoagent(file)
    assert [one.id for one in shop.accounts] == ["2200000000001"]


@pytest.mark.parametrize(
    ("content", "code"), [(b"\xff\xfe\x00\x01", "moving_not_env"), (b"A=" + b"x" * 300_000, "moving_not_env")]
)
def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_autoagent(file)
    assert refused.value.code == code


def test_g7_nul_in_settings_or_in_a_prompt_is_left_out_and_told(tmp_path: Path) -> None:
    home = _folder(tmp_path, f"{ENV}MODEL_BASE_URL=https://models.ex\0ample.com/v1\n", price_prompt="便\0宜")
    shop = _zipped(tmp_path, home)
    assert shop.accounts[0].ai is not None
    assert shop.accounts[0].ai.settings["base_url"] == "https://models.example.com/v1"
    assert shop.accounts[0].ai.settings["prompts"] == {"price": "便宜"}
    told = [(one.table, one.row) for one in shop.oddities if one.code == "text_cleaned"]
    assert told == [(".env", ""), ("prompts", "price_prompt.txt")]


def test_a_zip_file_without_settings_or_with_a_broken_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("prompts/price_prompt.txt", "x")
    with pytest.raises(InvalidInput) as refused:
        read_autoagent(file)
    assert refused.value.code == "moving_no_env"


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (b"# mine\nexport COOKIES_STR=unb=1", True),
        (b"SQLite format 3\0\nCOOKIES_STR=unb=1", False),
        (b'{"COOKIES_STR": 1}', False),
        (b"PK\x05\x06" + bytes(18), False),  # an archive of nothing
        (b"", False),
    ],
)
def test_only_a_file_that_sets_the_cookie_is_taken_for_one_of_that_system(
    tmp_path: Path, content: bytes, is_one: bool
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert is_autoagent(file) is is_one


def test_a_packed_folder_is_recognised_and_holds_nothing_but_settings_and_prompts(tmp_path: Path) -> None:
    home = _folder(tmp_path, price_prompt="x")
    (home / "prompts" / "notes.md").write_text("mine")
    file = tmp_path / "packed"
    file.write_bytes(packed(home))
    assert is_autoagent(file)
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == [".env", "prompts/price_prompt.txt"]


def test_g1_a_setting_that_no_version_has_is_reported_and_each_of_a_contract_is_taken_or_named(tmp_path: Path) -> None:
    settings = contract_of("autoagent").tables[".env"]
    given = dict.fromkeys(settings.named, "7") | {"COOKIES_STR": COOKIE, "NEVER_ANSWER": "0"}
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()), encoding="utf-8")
    shop = read_autoagent(file)
    found = {one.row: one.code for one in shop.oddities if one.table == ".env"}
    assert found.pop("NEVER_ANSWER") == "column_unknown"
    assert found == {"TOGGLE_KEYWORDS": "env_toggle", "SIMULATE_HUMAN_TYPING": "env_typing", "": "columns_unused"}
    (account,) = shop.accounts
    assert account.ai is not None
    assert {account.cookie, account.pause_duration, *account.ai.settings.values()} == {COOKIE, 1, "7"}
