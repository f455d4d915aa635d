"""The console counts the characters of a text by the server's own limits, and cuts none off."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.accounts import delivery_edits, model_settings
from shoal.api.schemas import ai_settings
from shoal.goods import goods, suppliers
from shoal.messages import chat_notes, replies
from shoal.rules import rule

SOURCES = Path(__file__).parents[2] / "web" / "src"
OF_THE_SERVER = {
    "LONGEST_MESSAGE": rule.MAX_REPLY_CHARACTERS,
    "LONGEST_TITLE_PART": delivery_edits.MAX_TITLE_CHARACTERS,
    "LONGEST_SPEC": delivery_edits.MAX_SPEC_CHARACTERS,
    "LONGEST_GOODS_TEXT": goods.MAX_TEXT,
    "LONGEST_SUPPLIER_BODY": suppliers.MAX_BODY,
    "LONGEST_NOTE": chat_notes.LONGEST_NOTE,
    "LONGEST_PERSONA": model_settings.MAX_PERSONA_CHARACTERS,
    "LONGEST_ITEM_FACTS": model_settings.MAX_ITEM_FACTS_CHARACTERS,
    "LONGEST_FACT_QUESTION": model_settings.MAX_QUESTION_CHARACTERS,
    "LONGEST_FACT_ANSWER": model_settings.MAX_ANSWER_CHARACTERS,
    "LONGEST_RECEIVED": replies.LONGEST_RECEIVED,
    "LONGEST_QUESTION": ai_settings.LONGEST_QUESTION,
}
BOX = re.compile(r"<textarea\b[^>]*>|<NInput\b[^>]*type=\"textarea\"[^>]*>")


def test_g20_the_console_counts_by_the_limits_of_the_server() -> None:
    text = (SOURCES / "common" / "limits.ts").read_text(encoding="utf-8")
    found = {name: int(value.replace("_", "")) for name, value in re.findall(r"export const (\w+) = ([\d_]+)", text)}
    assert found == OF_THE_SERVER


def test_g20_no_box_for_texts_cuts_off_what_is_pasted() -> None:
    """``maxlength`` drops the rest of a pasted text, and nothing tells."""
    boxes = [(path.name, box) for path in SOURCES.rglob("*.vue") for box in BOX.findall(path.read_text("utf-8"))]
    assert len(boxes) > 15
    assert [(name, box) for name, box in boxes if "maxlength" in box] == []
