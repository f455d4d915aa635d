"""Suppliers of goods as JSON. No answer has a value that may be a secret."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example
from shoal.goods.suppliers import Answer, Request, Supplier, shown_supplier
from shoal.goods.unit_texts import masked

Method = Literal["POST", "GET", "PUT"]
_SUPPLIER: dict[str, Any] = {
    "url": "https://supplier.example.com/api/orders", "method": "POST", "headers": {"Authorization": "Bearer 9f3c"},
    "body": '{"product": "month", "order": "{order_id}"}', "code_path": "data.cards.0.code",
    "query_url": "https://supplier.example.com/api/orders/{key}", "query_method": "GET", "query_body": "",
    "query_code_path": "", "timeout_seconds": 20, "wait_seconds": 60,
}  # fmt: skip
_SHOWN = {**_SUPPLIER, "headers": {"Authorization": "***"}, "body": '{"product": "***", "order": "{order_id}"}'}


class SupplierBody(BaseModel):
    """How a supplier is asked for one unit. A field that is left out stays as it is, or has the value of a new one.

    Addresses and bodies may name `{order_id}`, `{unit_no}`, `{quantity}` (always 1: one call asks for one unit),
    `{spec}`, `{item_id}` and `{key}` (the same as the header `Idempotency-Key`). ``code_path`` leads to the unit in a
    JSON answer; empty: the answer is the unit. ``query_url``: where to ask what became of an order. All of it is
    stored encrypted; ``headers`` are replaced as a whole.
    """

    model_config = body_example(**_SUPPLIER)
    url: Text = ""
    method: Method = "POST"
    headers: dict[Text, Text] = {}
    body: Text = ""
    code_path: Text = ""
    query_url: Text = ""
    query_method: Method = "GET"
    query_body: Text = ""
    query_code_path: Text = ""
    timeout_seconds: int = 20
    wait_seconds: int = 60

    def values(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class SupplierShape(BaseModel):
    """A supplier: `***` stands for every value that may be a secret."""

    model_config = example(**_SHOWN)
    url: str
    method: Method
    headers: dict[str, str]
    body: str
    code_path: str
    query_url: str
    query_method: Method
    query_body: str
    query_code_path: str
    timeout_seconds: int
    wait_seconds: int


class SupplierTryBody(BaseModel):
    """What a call is for. With ``call`` it is made: **the supplier sells one unit**, which becomes free stock."""

    model_config = body_example(item_id="700000000001", spec="时长:月卡", call=False)
    item_id: Text = ""
    spec: Text = ""
    call: bool = False


class RequestShape(BaseModel):
    """A call as it would be sent, without secrets."""

    method: Method
    url: str
    headers: dict[str, str]
    body: str


class AnswerShape(BaseModel):
    """What the supplier answered. ``status`` is 0 without an answer."""

    outcome: Literal["unit", "refused", "unreachable", "unsure"]
    status: int
    why: str
    masked: str


class SupplierTried(BaseModel):
    """The call, and what came of it when it was made."""

    model_config = example(
        request={
            "method": "POST", "url": "https://supplier.example.com/api/orders",
            "headers": {"Authorization": "***", "Idempotency-Key": "cJ0zq1"},
            "body": '{"product": "***", "order": "test-5f0c"}',
        },
        answer={"outcome": "unit", "status": 200, "why": "", "masked": "AB…42"},
    )  # fmt: skip
    request: RequestShape
    answer: AnswerShape | None


def supplier_shape(supplier: Supplier) -> SupplierShape:
    """Return a supplier as JSON."""
    return SupplierShape(**shown_supplier(supplier))


def tried_shape(request: Request, answer: Answer | None) -> SupplierTried:
    """Return a call and its answer as JSON."""
    fields = {name: getattr(request, name) for name in ("method", "url", "headers", "body")}
    found = None
    if answer is not None:
        code = masked(answer.code) if answer.code else ""
        found = AnswerShape(outcome=answer.meaning.value, status=answer.status, why=answer.why, masked=code)
    return SupplierTried(request=RequestShape(**fields), answer=found)
