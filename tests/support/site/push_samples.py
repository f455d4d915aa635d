"""Pushes as the site sends them, with invented ids, and values of every type for property tests."""

import json

from hypothesis import strategies as st

ME = "2200000000002"

BUYER = "2200000000001"

CHAT = "51000000001"

ORDER = "4000000000000000001"

AT = 1750000000123

# Entries as the site pushes them; ids are invented.
TEXT = (
    "ggGLAYEBtTIyMDAwMDAwMDAwMDFAZ29vZmlzaAKzNTEwMDAwMDAwMDFAZ29vZmlzaAOxMzUwMDAwMDAwMDAwMS5QTk0EAAXPAAABl3Qg3HsGggFlA4UB"
    "oAKm5Zyo5ZCXA6AEAQXaADd7ImF0VXNlcnMiOltdLCJjb250ZW50VHlwZSI6MSwidGV4dCI6eyJ0ZXh0Ijoi5Zyo5ZCXIn19BwIIAQkACoupX3BsYXRm"
    "b3Jtp2FuZHJvaWSmYml6VGFn2gBBeyJzb3VyY2VJZCI6IlM6MSIsIm1lc3NhZ2VJZCI6ImExYjJjM2Q0YTFiMmMzZDRhMWIyYzNkNGExYjJjM2Q0In2s"
    "ZGV0YWlsTm90aWNlpuWcqOWQl6dleHRKc29u2gBLeyJxdWlja1JlcGx5IjoiMSIsIm1lc3NhZ2VJZCI6ImExYjJjM2Q0YTFiMmMzZDRhMWIyYzNkNGEx"
    "YjJjM2Q0IiwidGFnIjoidSJ9r3JlbWluZGVyQ29udGVudKblnKjlkJeucmVtaW5kZXJOb3RpY2W15Y+R5p2l5LiA5p2h5paw5raI5oGvrXJlbWluZGVy"
    "VGl0bGWs5Lmw5a625bCP6bG8q3JlbWluZGVyVXJs2gCbZmxlYW1hcmtldDovL21lc3NhZ2VfY2hhdD9pdGVtSWQ9ODAwMDAwMDAwMDAxJnBlZXJVc2Vy"
    "SWQ9MjIwMDAwMDAwMDAwMSZwZWVyVXNlck5pY2s9dCoqKjEmc2lkPTUxMDAwMDAwMDAxJm1lc3NhZ2VJZD1hMWIyYzNkNGExYjJjM2Q0YTFiMmMzZDRh"
    "MWIyYzNkNCZhZHY9bm+sc2VuZGVyVXNlcklkrTIyMDAwMDAwMDAwMDGuc2VuZGVyVXNlclR5cGWhMKtzZXNzaW9uVHlwZaExDAEDgahuZWVkUHVzaKR0"
    "cnVl"
)

ORDER_MARK = (
    "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA4KrcmVkUmVtaW5kZXKy562J5b6F"
    "5Y2W5a625Y+R6LSnsHJlZFJlbWluZGVyU3R5bGWhMQTPAAABl3Qg3Hs="
)

NEW_MESSAGE = "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7EzNTAwMDAwMDAwMDAxLlBOTQTPAAABl3Qg3Hs="

READ_RECEIPT = "hQGRsTM1MDAwMDAwMDAwMDEuUE5NAgIDszUxMDAwMDAwMDAxQGdvb2Zpc2gEAQXPAAABl3Qg3Hs="

TYPING = "gQGRgwGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7UyMjAwMDAwMDAwMDAxQGdvb2Zpc2g="


def chat_payload(text: str, **changes: object) -> dict[str, object]:
    content_type = changes.get("content_type", 1)
    content = changes.get("content", {"contentType": content_type, "text": {"text": text}})
    extension = {
        "bizTag": json.dumps({"messageId": "a1" * 16}),
        "extJson": json.dumps(changes.get("ext_json", {"messageId": "a1" * 16})),
        "reminderContent": text,
        "reminderTitle": "fan",
        "reminderUrl": changes.get(
            "url", f"fleamarket://message_chat?itemId=800000000001&peerUserId={BUYER}&sid={CHAT}"
        ),
        "senderUserId": changes.get("sender", BUYER),
    }
    return {
        "1": {
            "1": {"1": f"{BUYER}@goofish"},
            "2": f"{CHAT}@goofish",
            "3": changes.get("message_id", "3500000000001.PNM"),
            "5": changes.get("at", AT),
            "6": {"1": 101, "3": {"1": "", "2": text, "3": "", "4": content_type, "5": json.dumps(content)}},
            "10": extension,
        },
        "3": {"needPush": changes.get("need_push", "true")},
    }


def card(title: str, *, button: str = "", target: str = "", **more: object) -> dict[str, object]:
    main = {"exContent": {"button": {"text": "x", "targetUrl": button}, "title": title}, "targetUrl": target}
    return {"contentType": 26, "dxCard": {"item": {"main": main}}, **more}


def card_payload(reminder: str, content: dict[str, object], **changes: object) -> dict[str, object]:
    return chat_payload(reminder, content_type=26, content=content, **changes)


PAID = card(
    "我已付款，等待你发货",
    button=f"fleamarket://ship?bizOrderId={ORDER}",
    target=f"fleamarket://order_detail?id={ORDER}&role=seller",
)

KEYS = st.sampled_from(["1", "2", "3", "4", "5", "6", "10", "operation", "content", "contentType", "custom", "data"])

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from([f"{CHAT}@goofish", "3500000000001.PNM", '{"contentType":26,"dxCard":{"item":[]}}', "[" * 3000]),
)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=4)), inner, max_size=5)
    ),
    max_leaves=30,
)


def update_payload(**ext_json: object) -> dict[str, object]:
    return {
        "1": "3500000000001.PNM",
        "2": f"{CHAT}@goofish",
        "4": {
            "reminderContent": "[我已付款，等待你发货]",
            "senderUserId": BUYER,
            "reminderTitle": "买家已付款",
            "reminderUrl": "fleamarket://message_chat?itemId=800000000001",
            "extJson": json.dumps(ext_json),
        },
        "5": AT,
    }
