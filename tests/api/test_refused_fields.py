"""A refusal names the field that is refused."""

from __future__ import annotations

from doors import Door

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
        wrong_shape = [row["loc"][-1] for row in answer["detail"]] if answer["code"] == "invalid_body" else []
        assert field in (answer["params"].get("field"), *wrong_shape), answer
