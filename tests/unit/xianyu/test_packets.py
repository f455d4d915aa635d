"""Decoding of pushed entries: every form decodes to the same object; what the site never sends is undecodable."""

import base64
import json

import msgpack  # type: ignore[import-untyped]  # the package ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.xianyu.packets import read_event
from shoal.xianyu.wire_bytes import UndecodableFrame, decode_entry
from support.site.packed_pushes import encode_entry, pack
from support.site.push_samples import ME, NEW_MESSAGE, ORDER_MARK, READ_RECEIPT, TEXT, TYPING, VALUES


@pytest.mark.parametrize("sample", [TEXT, ORDER_MARK, NEW_MESSAGE, READ_RECEIPT, TYPING])
def test_packing_a_decoded_sample_gives_its_bytes_again(sample: str) -> None:
    assert pack(decode_entry(sample)) == base64.b64decode(sample)
    assert encode_entry(decode_entry(sample)) == sample


def test_long_texts_are_packed_as_the_old_specification_has_them() -> None:
    assert pack({"a": "x" * 40})[:6] == b"\x81\xa1a\xda\x00\x28"


@pytest.mark.parametrize(
    "entry",
    [
        base64.b64encode(b'{"chatType": 1, "9": {"10": "x"}}').decode(),
        base64.urlsafe_b64encode(b'{"chatType": 1, "9": {"10": "x"}}').decode().rstrip("="),
        base64.b64encode(msgpack.packb({"chatType": 1, 9: {10: "x"}})).decode(),
        '{"chatType": 1, "9": {"10": "x"}}',
    ],
)
def test_three_forms_of_entry_decode_to_the_same_object(entry: str) -> None:
    assert decode_entry(entry) == {"chatType": 1, "9": {"10": "x"}}


def test_half_an_emoji_does_not_cost_the_message() -> None:
    assert decode_entry('{"a": "x\\ud83d"}') == {"a": "x\ufffd"}
    assert decode_entry('{"a\\u0000": "x\\u0000"}') == {"a\ufffd": "x\ufffd"}  # neither database takes a NUL
    assert decode_entry(base64.b64encode(b"\x81\xa1a\xa1\xff").decode()) == {"a": "\ufffd"}


def bomb(head: bytes, times: int) -> str:
    return base64.b64encode(head * times).decode()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        b"gQ==",
        ["gQ=="],
        "",
        "====",
        "hello world!",
        "[1]",
        '"text"',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' * 100 + "1" + "}" * 100,
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'{"a":' * 100_000).decode(),
        base64.b64encode(b"\xc1").decode(),
        base64.b64encode(b"\x05").decode(),
        base64.b64encode(b"\x81\x90\x01").decode(),
        base64.b64encode(b"\x81\xc0\x01").decode(),
        base64.b64encode(b"\x81\xa1a\xd7\xff" + b"\xff" * 8).decode(),
        base64.b64encode(b"\x81\xa1a\x01rest").decode(),
        bomb(b"\x91", 500_000),
        bomb(b"\x81\xa1a", 300),
        bomb(b"\xdd\xff\xff\xff\xff", 1000),
        bomb(b"\xdc\xff\xff", 1000),
        bomb(b"\xdf\x7f\xff\xff\xff", 1000),
        bomb(b"\xc6\xff\xff\xff\xff", 1),
        "A" * (1024 * 1024 + 1),
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_what_the_site_never_sends_is_undecodable(entry: object) -> None:
    with pytest.raises(UndecodableFrame):
        decode_entry(entry)


def test_extension_values_and_numbers_that_are_none_become_nothing() -> None:
    packed = base64.b64encode(msgpack.packb({"a": msgpack.ExtType(5, b"x"), "b": float("inf"), "c": 2.5})).decode()
    assert decode_entry(packed) == {"a": None, "b": None, "c": 2.5}


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode()), VALUES))
def test_decoding_raises_nothing_but_undecodable(entry: object) -> None:
    try:
        decoded = decode_entry(entry)
    except UndecodableFrame:
        return
    json.dumps(decoded).encode()
    read_event(decoded, ME)
