"""The catalogues of sentences agree with each other and with the code, and the check finds what does not."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from shoal.language.catalogue import ROOT, read_catalogue

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_sentences.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_sentences", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_catalogues_fit_the_code(check: ModuleType) -> None:
    assert check.faults(read_catalogue(ROOT / "zh"), read_catalogue(ROOT / "en"), check.sources_of(check.PACKAGE)) == []


@pytest.mark.parametrize(
    ("zh", "en", "source", "fault"),
    [
        ({"a.b": "好"}, {}, 'translate("a.b", zh)', "a.b: only in Chinese"),
        ({}, {"a.b": "Good"}, 'translate("a.b", zh)', "a.b: only in English"),
        ({}, {}, 'translate("a.b", zh)', "a.b: the code asks for it, the catalogues lack it"),
        ({}, {}, 'translate(f"a.{b}", zh)', "a.…: the code builds such keys, FAMILIES lacks them"),
        ({"a.b": "好"}, {"a.b": "Good"}, "", "a.b: nothing uses it"),
        ({"qr_login.b": "好"}, {"qr_login.b": "Good"}, 'translate(f"qr_login.{b}", zh)', "qr_login.b: nothing uses it"),
        ({}, {}, 'translate(f"qr_login.{b}", zh)', "qr_login.waiting: the catalogues lack it"),
        ({"a.b": "好 {x}"}, {"a.b": "Good {y}"}, 'translate("a.b", zh)', "a.b: the placeholders differ"),
        ({"a.b": "好 {x}"}, {"a.b": "Good {x}"}, 'translate("a.b", zh, y=1)', "a.b: the code does not give x"),
        ({"problems.b": "好 {x}"}, {"problems.b": "{x}"}, 'E(code="b")', "problems.b: the code does not give x"),
        ({"a.b": "好 {"}, {"a.b": "Good"}, 'translate("a.b", zh)', "a.b: Single '{' encountered in format string"),
        (
            {"a.b": "{x}个"},
            {"a.b": "{x:day}"},
            'translate("a.b", zh)',
            "a.b: {x:day} is not of the form {count:one|many}",
        ),
        ({"a.b": "好"}, {"a.b": "Good。"}, 'translate("a.b", zh)', "a.b: Chinese in the English sentence"),
        ({"a.b": "fine"}, {"a.b": "Good"}, 'translate("a.b", zh)', "a.b: no Chinese in the Chinese sentence"),
    ],
)
def test_each_fault_is_found(
    check: ModuleType, zh: dict[str, str], en: dict[str, str], source: str, fault: str
) -> None:
    assert fault in check.faults(zh, en, [source])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_button_that_advice_names_is_on_the_console(language: str) -> None:
    files = (Path(__file__).parents[2] / "web" / "src").rglob("*exts.ts")
    quoted = re.compile(r"""['"]([^'"\n]+)['"]""")
    shown = {text.rstrip("…") for file in files for text in quoted.findall(file.read_text("utf-8"))}
    advice = [text for key, text in read_catalogue(ROOT / language).items() if "advice" in key.partition(".")[0]]
    named = {name for text in advice for name in re.findall(r"“([^”{}]+)”", text)}
    assert len(named) > 5
    assert named <= shown
