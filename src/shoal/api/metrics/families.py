"""Metric families from plain counts. No label has a value that a user, a buyer or the site can choose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)

from shoal.measures import OTHER, Histogram, Tally

Kinds = Mapping[tuple[str, ...], float]
_NAME: Final = re.compile(r"[a-z0-9_]{0,40}")


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return one value."""
    return GaugeMetricFamily(f"shoal_{name}", text, value=value)


def gauges(name: str, text: str, labels: tuple[str, ...], values: Kinds) -> GaugeMetricFamily:
    """Return a value of each kind."""
    family = GaugeMetricFamily(f"shoal_{name}", text, labels=labels)
    for kind, value in values.items():
        family.add_metric(kind, value)
    return family


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """Return one count."""
    return CounterMetricFamily(f"shoal_{name}", text, value=value)


def counters(
    name: str, text: str, labels: tuple[str, ...], tally: Tally, known: Iterable[tuple[str, ...]] = ()
) -> CounterMetricFamily:
    """Return a count of each kind; those that are ``known`` also while they are 0, so that the first one is a rise."""
    family = CounterMetricFamily(f"shoal_{name}", text, labels=labels)
    times: dict[tuple[str, ...], float] = dict.fromkeys(known, 0.0)
    for kind, count in tally.times.items():
        named = tuple(word if _NAME.fullmatch(word) else OTHER for word in kind)
        times[named] = times.get(named, 0) + count
    for kind, total in times.items():
        family.add_metric(kind, total)
    return family


def histogram(name: str, text: str, measured: Histogram) -> HistogramMetricFamily:
    """Return a histogram."""
    bounds = [*(f"{bound:g}" for bound in measured.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(measured.counts), strict=True))
    return HistogramMetricFamily(f"shoal_{name}", text, buckets=buckets, sum_value=measured.total)


def summary(name: str, text: str, times: int, total: float) -> SummaryMetricFamily:
    """Return how often something was measured, and the sum."""
    return SummaryMetricFamily(f"shoal_{name}", text, count_value=times, sum_value=total)


def info(name: str, text: str, facts: Mapping[str, str]) -> InfoMetricFamily:
    """Return facts that never change."""
    return InfoMetricFamily(f"shoal_{name}", text, value=dict(facts))
