"""The dashboard and the alert rules: each figure that they name is in a scrape, and each alert says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shoal.clock import now_ms, present_clock
from support.figures.monitoring_files import DEPLOY, alerts, queries
from support.servers.doors import Door, open_door

TOKEN = "a token of the operator's monitoring"
NAME = re.compile(r"\b((?:shoal|process)_[a-z_]+)\b(?:{([^}]*)})?")
LABEL = re.compile(r'(\w+)(?:=~|!=|!~|=)"([^"]*)"')
CHINESE = re.compile(r"[\u4e00-\u9fff]")


async def samples_of(door: Door) -> dict[str, list[dict[str, str]]]:
    """The labels of each series of a scrape, by the name of its sample."""
    answer = await door.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    samples: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(answer.text):
        samples |= {f"{family.name}_total": []} if family.type == "counter" else {family.name: []}
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return samples


async def test_every_figure_that_an_alert_or_a_panel_names_is_in_a_scrape(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        await door.add()
        present_clock().note_site(now_ms())
        scraped = await samples_of(door)
    missing = []
    for title, query in queries().items():
        named = NAME.findall(query)
        assert named or query.startswith("up"), title
        for name, labels in named:
            wanted = {label: words for label, words in LABEL.findall(labels) if label != "job"}
            series = scraped.get(name)
            if series is None:
                missing.append(f"{title}: {name}")
                continue
            for label, words in wanted.items():
                shown = {one.get(label) for one in series}
                missing += [f"{title}: {name} {label}={word}" for word in words.split("|") if word not in shown]
    assert missing == []


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_happened_and_what_to_do_in_both_languages(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert set(told) == {"summary", "summary_zh", "todo", "todo_zh"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    for name, words in told.items():
        assert bool(CHINESE.search(words)) is name.endswith("_zh"), name
        assert len(words) > 5
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((DEPLOY / "grafana" / "shoal.json").read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
