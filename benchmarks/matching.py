"""Time to find a message's rule beside its limit, and to compile rules: ``python -m benchmarks.matching``.

The limit is a bare automaton of the same words that searches the same messages, in turns with it. The figures decide
nothing: the matcher's tests check correctness, this measures cost.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from random import Random
from typing import Any

from ahocorasick_rs import AhoCorasick

from benchmarks.figures import keep
from shoal.language.folding import folded, folded_word
from shoal.rules.matcher import MAX_PATTERNS, Matcher
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.rule_lint import warnings_of
from shoal.rules.schedule import Span, moment_in

SIZES = (10, 1_000, 2_000, 10_000)
MESSAGES = 2_000
_LETTERS = (
    "在吗多少钱包邮尺码颜色发货退换质量全新成色闲置面交自提快递便宜优惠刀小单价格还有库存实物图片视频保修发票几天到付"
)
_ITEMS = 50


def some_rules(count: int, rng: Random) -> tuple[Rule, ...]:
    """Return rules like those of a large shop: short words, a third item-bound, some with hours or several words."""
    return tuple(_rule(number, rng) for number in range(count))


def _rule(number: int, rng: Random) -> Rule:
    words = tuple({_word(rng) + (str(number) if rng.random() < 0.5 else "") for _ in range(rng.choice([1, 1, 1, 3]))})
    return Rule(
        id=str(number),
        words=words,
        word_mode=rng.choice([WordMode.ANY, WordMode.ANY, WordMode.ALL]),
        match_mode=rng.choice([MatchMode.CONTAINS] * 8 + [MatchMode.EXACT, MatchMode.WHOLE_WORD]),
        item_ids=tuple(sorted({str(rng.randrange(_ITEMS)) for _ in range(2)})) if rng.random() < 1 / 3 else (),
        schedule=(Span(start="22:00", end="08:00"),) if rng.random() < 0.1 else (),
        parts=(Part(text="好的"),),
        position=number,
    )


def _word(rng: Random) -> str:
    return "".join(rng.choices(_LETTERS, k=rng.choice([2, 3, 4])))


def some_messages(count: int, rng: Random) -> list[tuple[str, str | None]]:
    """Return messages of 4 to 60 characters, each with the item that it is about."""
    return [
        (
            "".join(rng.choices(_LETTERS, k=rng.randint(4, 60))),
            str(rng.randrange(_ITEMS)) if rng.random() < 0.8 else None,
        )
        for _ in range(count)
    ]


def with_patterns(rules: tuple[Rule, ...], rng: Random) -> tuple[Rule, ...]:
    """Return the same rules plus the maximum number of regular expressions, matched last."""
    return rules + tuple(
        Rule(id=f"p{number}", words=(rf"{_word(rng)}\d+元?",), match_mode=MatchMode.REGEX, priority=-1)
        for number in range(MAX_PATTERNS)
    )


def seconds_of(*works: Callable[[], object], repeats: int = 7) -> list[float]:
    """Return the least CPU time of each work; they run in turns. Other load on the machine counts little."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, found in zip(works, times, strict=True):
            gc.collect()
            began = time.process_time()
            work()
            found.append(time.process_time() - began)
    return [min(found) for found in times]


def _made(rules: tuple[Rule, ...]) -> Matcher:
    """Return a matcher with its index, which is made for the first message."""
    folded_word.cache_clear()
    matcher = Matcher(rules)
    matcher.first("x", None, moment_in("", 0))
    return matcher


def row_of(size: int, rng: Random) -> dict[str, Any]:
    """Measure with that many rules."""
    messages = some_messages(MESSAGES, rng)
    moment = moment_in("", 1_767_323_045_000)
    rules = some_rules(size, rng)
    matcher, full = _made(rules), _made(with_patterns(rules, rng))
    automaton = AhoCorasick(list(dict.fromkeys(folded(word) for rule in rules for word in rule.words)))
    found, many, bare = (
        seconds / MESSAGES * 1e6
        for seconds in seconds_of(
            lambda: [matcher.first(text, item, moment) for text, item in messages],
            lambda: [full.first(text, item, moment) for text, item in messages],
            lambda: [automaton.find_matches_as_indexes(text, overlapping=True) for text, _ in messages],
        )
    )
    compiled, warned = (seconds * 1e3 for seconds in seconds_of(lambda: _made(rules), lambda: warnings_of(rules)))
    fired = sum(matcher.first(text, item, moment) is not None for text, item in messages) / MESSAGES
    return {
        "rules": size,
        "words": sum(len(rule.words) for rule in rules),
        "µs per message": found,
        "automaton alone µs": bare,
        "of the automaton": found / bare,
        "with 200 regular expressions µs": many,
        "fired": f"{fired:.0%}",
        "compiled and indexed ms": compiled,
        "warnings ms": warned,
    }


def main() -> None:
    """Print and keep one row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    rng = Random(parser.parse_args().seed)  # noqa: S311  the same rules each time
    rows = [row_of(size, rng) for size in SIZES]
    keep("matching", rows, about=f"CPU time of one process, the least of 7 turns over {MESSAGES:,} messages")


if __name__ == "__main__":
    main()
