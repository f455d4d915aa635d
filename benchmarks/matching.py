"""Time to find a message's rule, and to compile rules: ``python -m benchmarks.matching``.

The figures decide nothing: the matcher's tests check correctness, this measures cost.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from random import Random

from shoal.rules.matcher import MAX_PATTERNS, Matcher
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.rule_lint import warnings_of
from shoal.rules.schedule import Span, moment_in

SIZES = (10, 1_000, 10_000)
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


def seconds_of(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median CPU time of several runs; other load on the machine does not count."""
    times = []
    for _ in range(repeats):
        gc.collect()
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def main() -> None:
    """Print one row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    rng = Random(parser.parse_args().seed)  # noqa: S311  the same rules each time
    messages = some_messages(MESSAGES, rng)
    moment = moment_in("", 1_767_323_045_000)

    def per_message(matcher: Matcher) -> float:
        return seconds_of(lambda: [matcher.first(text, item, moment) for text, item in messages]) / MESSAGES * 1e6

    print("| rules | words | µs per message | with 200 regular expressions | fired | compiled in ms | warnings in ms |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        rules = some_rules(size, rng)
        matcher = Matcher(rules)
        fired = sum(matcher.first(text, item, moment) is not None for text, item in messages) / MESSAGES
        row = (
            size,
            sum(len(rule.words) for rule in rules),
            f"{per_message(matcher):.1f}",
            f"{per_message(Matcher(with_patterns(rules, rng))):.1f}",
            f"{fired:.0%}",
            f"{seconds_of(lambda rules=rules: Matcher(rules)) * 1e3:.1f}",  # type: ignore[misc]  # bound in the loop
            f"{seconds_of(lambda rules=rules: warnings_of(rules)) * 1e3:.1f}",  # type: ignore[misc]  # bound in the loop
        )
        print("| " + " | ".join(str(cell) for cell in row) + " |")


if __name__ == "__main__":
    main()
