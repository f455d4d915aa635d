import base64
import json

import pytest

from shoal.xianyu import frames
from shoal.xianyu.browser import Browser

MID = "5501750000002123 0"
ME = "2200000000002"
BUYER = "2200000000001"
CHAT = "51000000001"


def test_a_text_message_is_the_web_clients_frame() -> None:
    frame = frames.send_text(MID, "-17500000021231", CHAT, BUYER, ME, "您好，在的")
    data = "eyJjb250ZW50VHlwZSI6IDEsICJ0ZXh0IjogeyJ0ZXh0IjogIlx1NjBhOFx1NTk3ZFx1ZmYwY1x1NTcyOFx1NzY4NCJ9fQ=="
    assert frame == {
        "lwp": "/r/MessageSend/sendByReceiverScope",
        "headers": {"mid": MID},
        "body": [
            {
                "uuid": "-17500000021231",
                "cid": f"{CHAT}@goofish",
                "conversationType": 1,
                "content": {"contentType": 101, "custom": {"type": 1, "data": data}},
                "redPointPolicy": 0,
                "extension": {"extJson": "{}"},
                "ctx": {"appVersion": "1.0", "platform": "web"},
                "mtags": {},
                "msgReadStatusSetting": 1,
            },
            {"actualReceivers": [f"{BUYER}@goofish", f"{ME}@goofish"]},
        ],
    }


def test_an_image_message_carries_the_captured_bytes() -> None:
    frame = frames.send_image(MID, "-1", CHAT, BUYER, ME, url="https://img.example/x.jpg", width=800, height=600)
    assert (
        "eyJjb250ZW50VHlwZSI6IDIsICJpbWFnZSI6IHsicGljcyI6IFt7ImhlaWdodCI6IDYwMCwgInR5cGUiOiAwLCAidXJsIjogImh0dHBzOi8v"
        "aW1nLmV4YW1wbGUveC5qcGciLCAid2lkdGgiOiA4MDB9XX19"
    ) in frames.encode(frame)


def test_registration_carries_token_and_device_and_undoes_url_encoding() -> None:
    headers = frames.headers_of(frames.registration(MID, "a%2Bb", "D-1", Browser("T")))
    assert headers["token"] == "a+b"
    assert headers["did"] == "D-1"
    assert headers["mid"] == MID
    assert headers["app-key"] == "444e9908a51d1cb236a27862abc769c9"
    assert headers["sync"] == "0,0;0;0;"


def test_the_position_counts_microseconds() -> None:
    frame = frames.ack_diff(MID, frames.position_at(1750000001123))
    assert frame["body"] == [
        {
            "pipeline": "sync",
            "tooLong2Tag": "PNM,1",
            "channel": "sync",
            "topic": "sync",
            "highPts": 0,
            "pts": 1750000001123000,
            "seq": 0,
            "timestamp": 1750000001123,
        }
    ]


def test_an_acknowledgement_echoes_only_what_the_push_had() -> None:
    assert frames.ack_of({"lwp": "/s/sync", "headers": {"mid": "p1 0"}}) == {
        "code": 200,
        "headers": {"mid": "p1 0", "sid": ""},
    }
    full = {"mid": "p1 0", "sid": "s1", "app-key": "k", "ua": "u", "dt": "j", "other": "x"}
    assert frames.ack_of({"lwp": "/s/sync", "headers": full}) == {
        "code": 200,
        "headers": {"mid": "p1 0", "sid": "s1", "app-key": "k", "ua": "u", "dt": "j"},
    }


def test_kinds_of_frames_are_told_apart() -> None:
    assert frames.is_push({"lwp": "/s/sync"})
    assert not frames.is_push({"lwp": "/s/sync", "code": 200})
    assert frames.is_reply({"code": 200})
    assert not frames.is_reply({})


def test_every_entry_of_a_push_is_found_and_odd_ones_do_no_harm() -> None:
    push = {"body": {"syncPushPackage": {"data": [{"data": "a"}, 5, {}, {"data": "b"}]}}}
    assert frames.entries_of(push) == ("a", None, "b")
    odd_frames: list[dict[str, object]] = [
        {},
        {"body": 1},
        {"body": {"syncPushPackage": []}},
        {"body": {"syncPushPackage": {"data": {}}}},
    ]
    for odd in odd_frames:
        assert frames.entries_of(odd) == ()


def test_a_push_can_ask_for_the_position() -> None:
    assert frames.wants_position({"body": {"syncExtraType": {"type": 2}}})
    assert not frames.wants_position({"body": {"syncExtraType": {"type": 0}}})
    assert not frames.wants_position({"body": {"syncExtraType": {"type": []}}})


def test_other_requests_have_the_bodies_of_the_web_client() -> None:
    assert frames.heartbeat(MID) == {"lwp": "/!", "headers": {"mid": MID}}
    assert frames.get_state(MID)["body"] == [{"topic": "sync"}]
    assert frames.list_messages(MID, CHAT)["body"] == [f"{CHAT}@goofish", False, 9007199254740991, 20, False]
    assert frames.list_chats(MID)["body"] == [9007199254740991, 20]


def test_frames_are_ascii_json() -> None:
    text = frames.encode(frames.send_text(MID, "-1", CHAT, BUYER, ME, "鱼\ud800"))
    assert text.isascii()
    assert json.loads(text)["lwp"] == "/r/MessageSend/sendByReceiverScope"
    assert base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("push", "place"),
    [
        ({"lwp": "/s/sync", "body": {"syncPushPackage": {"data": [{"data": "x"}], "maxPts": 7}}}, 7),
        ({"lwp": "/s/vulcan", "body": {"syncPushPackage": {"data": [], "maxPts": 7}}}, None),
        ({"lwp": "/s/para", "body": {"syncPushPackage": {"data": [{"data": "x"}], "maxPts": 7}}}, None),
        ({"lwp": "/s/sync", "body": {"syncPushPackage": {"data": [{"data": "x"}], "maxPts": "7"}}}, None),
        ({"lwp": "/s/sync"}, None),
    ],
)
def test_only_a_push_with_entries_of_the_feed_leads_on_in_it(push: dict[str, object], place: int | None) -> None:
    assert frames.place_of(push) == place
