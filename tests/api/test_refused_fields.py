"""A refusal names the field that is refused."""

from __future__ import annotations

import re
from typing import Any

from fastapi.routing import APIRoute

from api.authorisation_calls import NAMES
from shoal.server.route_table import every_route
from support.servers.doors import Door

CHINESE = re.compile(r"[\u4e00-\u9fff]")

REFUSED = [
    ("POST", "/cookies/shop/rules", {"words": ["x" * 201]}, "words"),
    ("POST", "/cookies/shop/rules", {"words": ["("], "match_mode": "regex"}, "words"),
    ("POST", "/cookies/shop/rules", {"words": ["a"], "item_ids": ["?"]}, "item_ids"),
    ("POST", "/cookies/shop/rules", {"words": ["a"], "parts": [{"text": "b"}, {"text": "c" * 4_001}]}, "parts.1"),
    ("PUT", "/cookies/shop/deliveries", {"rules": [{"item_id": "1", "spec": ";"}]}, "spec"),
    ("PUT", "/cookies/shop/deliveries", {"rules": [{"item_id": "1", "parts": [{"text": "{codes}"}]}]}, "goods_id"),
    ("PUT", "/cookies/shop/deliveries", {"rules": [{"item_id": "1", "goods_id": 77}]}, "goods_id"),
    ("PATCH", "/cookies/shop/settings", {"remark": "x" * 201}, "remark"),
    ("PATCH", "/cookies/shop/settings", {"opening_hours": "always"}, "opening_hours"),
    ("PATCH", "/cookies/shop/settings", {"filter_patterns": "("}, "filter_patterns"),
    ("PUT", "/cookies/shop/items/1", {"reply": "x" * 4_001}, "reply"),
    ("POST", "/goods", {"name": "\n", "kind": "stock"}, "name"),
    ("POST", "/goods", {"name": "a", "kind": "fixed", "text": "x" * 2_001}, "text"),
    ("POST", "/goods", {"name": "a", "kind": "stock", "low_at": -1}, "low_at"),
]


async def test_g20_a_refusal_names_the_field_that_is_refused(door: Door) -> None:
    """So that a form can lead to it, by one look at the answer and not by a table of codes."""
    for method, path, body, field in REFUSED:
        answer = await door.call(method, path, 422, json=body)
        named = answer["params"]["field"]
        assert field in (named, named.split(".")[-1]), answer


async def test_a_wrong_form_is_told_as_one_sentence_of_the_callers_language_by_every_route(door: Door) -> None:
    names = {**NAMES, "cid": "shop", "rev": "1", "reply_id": "1"}
    told: dict[str, int] = {}
    for route in every_route():
        if not isinstance(route, APIRoute) or "log" in route.path:
            continue
        url = re.sub(r"{(\w+)(?::path)?}", lambda found: names[found[1]], route.path)
        for method in sorted(route.methods or ()):
            for language, chinese in (("zh", True), ("en", False)):
                changes = method in {"POST", "PUT", "PATCH"}
                sent: dict[str, Any] = {"json": {"no_such_field": 1}} if changes else {"params": {"limit": "x"}}
                answer = await door.client.request(method, url, headers={"Accept-Language": language}, **sent)
                assert answer.status_code != 401, (method, url)
                problem = answer.json() if answer.status_code == 422 else {}
                if problem.get("code") not in {"invalid_body", "invalid_query"}:
                    continue
                told[problem["code"]] = told.get(problem["code"], 0) + 1
                assert isinstance(problem["detail"], str), (method, url)
                assert bool(CHINESE.search(problem["detail"])) is chinese, (method, url, problem)
                is_of_body = problem["params"]["places"][0]["loc"][0] == "body"
                assert is_of_body is (problem["code"] == "invalid_body"), (method, url)
                assert all(set(place) == {"loc", "type"} for place in problem["params"]["places"]), (method, url)
    assert told["invalid_body"] > 100
    assert told["invalid_query"] > 20
