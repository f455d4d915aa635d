"""YAML as plain values: nothing but values, each with its line, within limits."""

from __future__ import annotations

import pytest

from shoal.maintenance.shop_file.yaml_values import MAX_DEPTH, UnusableFile, read_yaml


def the_fault(text: str) -> tuple[int, str]:
    with pytest.raises(UnusableFile) as refused:
        read_yaml(text)
    (fault,) = refused.value.faults
    return fault.line, fault.error.code


def test_every_scalar_is_its_text_and_only_an_empty_one_is_none() -> None:
    text = "a: no\nb: 0700\nc: 12:30\nd:\ne: ~\nf: 'null'\ng: [1.50, {h: yes}]\n"
    assert read_yaml(text).values == {
        "a": "no", "b": "0700", "c": "12:30", "d": None, "e": None, "f": "null", "g": ["1.50", {"h": "yes"}],
    }  # fmt: skip


def test_each_value_has_its_line_and_a_missing_one_that_of_what_is_around_it() -> None:
    lines = read_yaml("a:\n  b:\n    - 1\n    - c: 2\n").lines
    paths: list[list[str | int]] = [[], ["a"], ["a", "b", 0], ["a", "b", 1, "c"], ["a", "b", 7, "c"]]
    assert [lines.of(path) for path in paths] == [1, 2, 3, 4, 3]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("a: 1\nb: [1\n", 3, "shop_file_syntax"),
        ("a: 1\n\tb: 2\n", 2, "shop_file_syntax"),
        ("a: \x07", 1, "shop_file_syntax"),
        ("a: &x 1\nb: 2\n", 1, "shop_file_alias"),
        ("a: 1\nb: *x\n", 2, "shop_file_alias"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "shop_file_tag"),
        ("a: 1\n---\nb: 1\n", 2, "shop_file_documents"),
        ("? [a]\n: 1\n", 1, "shop_file_syntax"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 1, "shop_file_depth"),
    ],
)
def test_what_is_no_plain_document_is_refused_with_its_line(text: str, line: int, code: str) -> None:
    assert the_fault(text) == (line, code)


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcd", "bcde", strict=True)
    )
    assert the_fault(bomb) == (1, "shop_file_alias")


def test_a_key_that_stands_twice_is_told_with_the_line_of_the_second() -> None:
    (fault,) = read_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n").faults
    assert (fault.line, fault.place, fault.error.code) == (4, "a.b", "shop_file_key_twice")
