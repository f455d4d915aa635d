"""Suppliers: what may be stored, what is sent, what an answer means, and what people see of the settings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from shoal.errors import InvalidInput
from shoal.goods.suppliers import (
    MAX_ANSWER_BYTES,
    Meaning,
    Supplier,
    Wanted,
    changed_supplier,
    meaning_of_order,
    meaning_of_query,
    order_request,
    query_request,
    shown_request,
    shown_supplier,
)

URL = "https://supplier.example.com/api/orders"
WANTED = Wanted(order_id="45", unit_no=2, key="K-1", spec='时长:"月卡"&x', item_id="700")
SECRET = "canary-secret"


def made(**values: Any) -> Supplier:
    return changed_supplier(None, {"url": URL, **values})


def test_a_call_has_the_values_of_its_order_and_its_key() -> None:
    body = '{"product": "月", "order": "{order_id}-{unit_no}", "spec": "{spec}", "n": {quantity}}'
    asked = order_request(made(body=body, headers={"Authorization": "Bearer x"}, url=f"{URL}?s={{spec}}"), WANTED)
    assert json.loads(asked.body) == {"product": "月", "order": "45-2", "spec": '时长:"月卡"&x', "n": 1}
    assert asked.url == f"{URL}?s=%E6%97%B6%E9%95%BF%3A%22%E6%9C%88%E5%8D%A1%22%26x"
    assert asked.headers == {
        "Accept": "application/json, text/plain", "User-Agent": "Shoal", "Authorization": "Bearer x",
        "Content-Type": "application/json", "Idempotency-Key": "K-1",
    }  # fmt: skip
    form = order_request(made(body="order={order_id}&spec={spec}"), WANTED)
    assert form.body == "order=45&spec=%E6%97%B6%E9%95%BF%3A%22%E6%9C%88%E5%8D%A1%22%26x"
    assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"
    plain = order_request(made(body="{spec}", headers={"content-type": "text/plain"}), WANTED)
    assert (plain.body, plain.headers["content-type"]) == (WANTED.spec, "text/plain")
    query = query_request(made(query_url=f"{URL}/{{key}}"), WANTED)
    assert (query.method, query.url, query.body, "Content-Type" in query.headers) == ("GET", f"{URL}/K-1", "", False)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"url": "ftp://x"}, "supplier_url"),
        ({"url": "https://"}, "supplier_url"),
        ({"url": "https://user:secret@x.example"}, "supplier_url"),
        ({"url": "https://{order_id}.example.com/"}, "supplier_url"),
        ({"url": "https://x.example:99999/"}, "supplier_url"),
        ({"url": "https://x.example/#top"}, "supplier_url"),
        ({"query_url": "x"}, "supplier_url"),
        ({"method": "DELETE"}, "supplier_field"),
        ({"timeout_seconds": "20"}, "supplier_field"),
        ({"other": 1}, "supplier_field"),
        ({"headers": {"Host": "x"}}, "supplier_header"),
        ({"headers": {"idempotency-key": "x"}}, "supplier_header"),
        ({"headers": {"X": "a\r\nB: c"}}, "supplier_header"),
        ({"headers": {"X Y": "a"}}, "supplier_header"),
        ({"headers": {f"X-{n}": "a" for n in range(21)}}, "supplier_header"),
        ({"body": '{"a": "{buyer}"}'}, "supplier_variable"),
        ({"body": '{"a": '}, "supplier_body"),
        ({"body": "x" * 8001}, "supplier_body"),
        ({"code_path": "a..b"}, "supplier_path"),
        ({"timeout_seconds": 61}, "goods_number"),
        ({"wait_seconds": -1}, "goods_number"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        made(**values)
    assert refused.value.code == code


def test_a_change_keeps_what_is_left_out() -> None:
    before = made(body="order={order_id}", headers={"A": SECRET})
    after = changed_supplier(before, {"timeout_seconds": 5})
    assert (after.timeout_seconds, after.body, after.headers) == (5, "order={order_id}", {"A": SECRET})
    with pytest.raises(InvalidInput, match="url"):
        changed_supplier(None, {"body": "x"})


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "https://elsewhere.example/a"}, "headers"),
        ({"url": "https://elsewhere.example/a", "headers": {}}, "body"),
        ({"url": URL.replace("https", "http")}, "headers"),
        ({"query_url": "https://elsewhere.example/q"}, "headers"),
        ({"headers": {"A": "***"}}, "headers"),
        ({"url": f"{URL}?token=***"}, "url"),
    ],
)
def test_a_secret_that_is_kept_goes_to_no_other_server(values: dict[str, Any], field: str) -> None:
    before = made(body="order={order_id}&key=secret", headers={"A": SECRET})
    with pytest.raises(InvalidInput) as refused:
        changed_supplier(before, values)
    assert (refused.value.code, refused.value.params["field"]) == ("supplier_secret", field)
    assert changed_supplier(before, {"url": f"{URL}/v2"}).headers == {"A": SECRET}
    fresh = {"url": "https://elsewhere.example/a", "headers": {"A": "own"}, "body": ""}
    assert changed_supplier(before, fresh).headers == {"A": "own"}


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("data.cards.0.code", b'{"data": {"cards": [{"code": " AB-1 "}]}}', "AB-1"),
        ("code", b'{"code": 12345678901234567890}', "12345678901234567890"),
        ("", b"AB-1\n", "AB-1"),
        ("", '卡号：1\n密码：2'.encode(), "卡号：1\n密码：2"),
        ("", b"<html>busy</html>", ""),
        ("", b'{"msg": "no"}', ""),
        ("", b"\xff\xfe", ""),
        ("", b"", ""),
        ("code", b"AB-1", ""),
        ("code", b'{"code": ""}', ""),
        ("code", b'{"code": true}', ""),
        ("code", b'{"code": null}', ""),
        ("code", b'{"code": {"x": 1}}', ""),
        ("code", b'{"code": "a\\u0000b"}', ""),
        ("cards.1", b'{"cards": ["a"]}', ""),
        ("cards.x", b'{"cards": ["a"]}', ""),
        ("a.b", b'{"a": "text"}', ""),
        ("code", b"[" * MAX_ANSWER_BYTES, ""),
        ("code", b'{"code": "' + b"x" * 2001 + b'"}', ""),
    ],
)  # fmt: skip
def test_an_answer_of_success_is_a_unit_or_leaves_it_open(path: str, data: bytes, code: str) -> None:
    answer = meaning_of_order(made(code_path=path), 201, data)
    assert (answer.code, answer.meaning) == (code, Meaning.UNIT if code else Meaning.UNSURE)


def test_only_a_refusal_of_the_call_itself_has_certainly_bought_nothing() -> None:
    certain = {400, 401, 402, 403, 404, 405, 410, 422, 451}
    for status in (100, 199, 300, 302, 307, *sorted(certain), 408, 409, 429, 500, 502, 503, 504, 599):
        found = meaning_of_order(made(), status, b"AB-1").meaning
        assert found is (Meaning.REFUSED if status in certain else Meaning.UNSURE), status
    assert "AB-1" not in repr(meaning_of_order(made(), 200, b"AB-1"))


def test_a_query_tells_the_unit_or_that_there_is_no_such_order() -> None:
    supplier = made(code_path="a", query_url=URL, query_code_path="b")
    assert meaning_of_query(supplier, 200, b'{"a": "1", "b": "2"}').code == "2"
    assert meaning_of_query(made(code_path="a", query_url=URL), 200, b'{"a": "1"}').code == "1"
    for status, meaning in (
        (404, Meaning.REFUSED),
        (410, Meaning.REFUSED),
        (401, Meaning.UNSURE),
        (500, Meaning.UNSURE),
    ):
        assert meaning_of_query(supplier, status, b"").meaning is meaning


def test_people_see_names_and_variables_and_no_value() -> None:
    supplier = made(
        url=f"{URL}/{SECRET}-of-long-length?token={SECRET}&order={{order_id}}&{SECRET}",
        headers={"Authorization": SECRET, "Content-Type": "application/json; charset=utf-8"},
        body=json.dumps({"key": SECRET, "n": 990099, "deep": [SECRET, f"{SECRET}-{{order_id}}"], 'q"q': SECRET}),
        query_url=f"{URL}/{{key}}?token={SECRET}",
    )
    form = made(body=f"token={SECRET}&order={{order_id}}", query_body=SECRET)
    text = made(body=f"{SECRET} {{order_id}}", headers={"Content-Type": "text/plain"})
    for one in (supplier, form, text):
        requests = [asdict(shown_request(one, WANTED, query=query)) for query in (False, True)]
        shown = json.dumps([shown_supplier(one), requests]) + repr(one) + repr(order_request(one, WANTED))
        assert SECRET not in shown
        assert "990099" not in shown
    assert shown_supplier(supplier)["url"] == f"{URL}/***?token=***&order={{order_id}}&***"
    assert shown_supplier(supplier)["body"] == (
        '{"key": "***", "n": ***, "deep": ["***", "***{order_id}"], "q\\"q": "***"}'
    )
    assert shown_supplier(form)["body"] == "token=***&order={order_id}"
    assert "***45" in shown_request(supplier, WANTED).body
    assert "45" in shown_request(form, WANTED).body
