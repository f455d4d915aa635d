"""Each field of a form in the console has a link to the place of the help that explains it, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from shoal.console import help_pages

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "web" / "src"
SITE = help_pages.SITE
PLACE = re.compile(r"""['"]((?:(?:howto|concepts)/)?[a-z-]+#[a-z0-9-]+)['"]""")
ANCHOR = re.compile(r"""\sid=["']?([^"'\s>]+)""")
TEMPLATE = re.compile(r"^<template>$.*^</template>$", re.DOTALL | re.MULTILINE)

PARTS = {
    "CellEdit", "FileChoice", "ItemPicker", "ItemSelect", "NewPassword", "NumberOfSetting", "Pills", "PlainInput",
    "QuietFields", "ReplyText", "RuleParts", "RuleSchedule", "ShopPicker", "ShopSelect", "SpecField",
    "SwitchLine",
}  # fmt: skip
"""Components that are one field of another component: that component has the link, they have none."""
FIELDS = PARTS | {
    "input", "select", "textarea", "NCheckbox", "NCheckboxGroup", "NDatePicker", "NDynamicTags", "NInput",
    "NInputNumber", "NRadioGroup", "NSelect", "NSlider", "NSwitch", "NTimePicker", "NUpload",
}  # fmt: skip
VOID = {"img", "input", "br", "hr"}
LINKS = {"FieldHelp", "SettingRow"}
"""Around a field they link the place that explains it."""
TITLED = {"Dialog", "ListCard"}
"""With ``help`` they have a link at their title, for all that is in them."""
DIALOGS = {"Dialog", "OnceDialog"}
"""What stands around them on the page explains nothing within them."""

WITHOUT = {
    "finds, filters or arranges what a list shows": {
        "accounts/AccountsTools.vue": 6, "assistant/Runs.vue": 1, "chats/Chats.vue": 4, "history/HistoryTools.vue": 6,
        "moving/MovingRows.vue": 1, "notices/Incidents.vue": 3, "orders/OrderFilters.vue": 4, "orders/OrderSpan.vue": 3,
        "orders/OrderSums.vue": 3, "orders/ViewHead.vue": 1, "rules/RulesTools.vue": 1, "settings/AuditLog.vue": 3,
        "stock/UnitList.vue": 1,
    },
    "is a row of a list: it is chosen, switched or edited in place, and its form has the links": {
        "accounts/AccountsBatch.vue": 1, "accounts/AccountsHead.vue": 1, "notices/ChannelRow.vue": 1,
        "notices/WebhookRow.vue": 1, "rules/RuleReply.vue": 1, "rules/RuleRow.vue": 2, "rules/RuleWords.vue": 1,
        "rules/RulesHead.vue": 2,
    },
    "is where a message to a buyer or a note is written": {
        "assistant/DraftCard.vue": 1, "chats/Composer.vue": 3, "chats/NoteBox.vue": 1,
    },
    "is a name that is typed to confirm a removal, which the dialog explains": {
        "accounts/RemoveAccount.vue": 1, "users/RemoveUser.vue": 1,
    },
    "has the link to its page of the help below the form": {"login/Join.vue": 2, "login/Login.vue": 3},
    "shows at once what it does": {"settings/General.vue": 2},
}  # fmt: skip
"""Fields without a link of their own: why, and how many of them each file has."""


@dataclass(eq=False)
class Element:
    """One element of a template."""

    tag: str
    attributes: dict[str, str | None]
    within: Element | None = None
    children: list[Element] = field(default_factory=list)

    def parts(self) -> Iterator[Element]:
        """Yield the elements within, from the outside in."""
        for child in self.children:
            yield child
            yield from child.parts()

    def explains_the_rest(self) -> bool:
        """Return whether a link of the help stands here at a heading, which belongs to no single field."""
        if self.tag in {"template", "header"}:
            return any(child.explains_the_rest() for child in self.children)
        return self.tag == "FieldHelp" and any(one.tag in {"h2", "h3"} for one in self.parts())

    def is_explained(self) -> bool:
        """Return whether a link stands around this field, or at the head of its card or dialog."""
        around = self.within
        while around is not None:
            if around.tag in LINKS or (around.tag in TITLED and {"help", ":help"} & around.attributes.keys()):
                return True
            if any(child.explains_the_rest() for child in around.children):
                return True
            around = None if around.tag in DIALOGS else around.within
        return False


class Reader(HTMLParser):
    """Reads the elements of a template, with the names of components as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        written = re.match(r"<([\w-]+)", self.get_starttag_text() or "")
        one = Element(written[1] if written else tag, dict(attrs), self.at)
        self.at.children.append(one)
        if one.tag not in VOID:
            self.at = one

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.at.tag.lower() == tag, (self.at.tag, tag)
            assert self.at.within is not None
            self.at = self.at.within


def template_of(text: str) -> Element:
    """Return the elements of a component's template."""
    reader = Reader()
    found = TEMPLATE.search(text)
    assert found is not None
    reader.feed(found[0])
    reader.close()
    assert reader.at is reader.root
    return reader.root


def unexplained(text: str) -> list[Element]:
    """Return the fields of a component's template that no link explains."""
    fields = (one for one in template_of(text).parts() if one.tag in FIELDS and "hidden" not in one.attributes)
    return [one for one in fields if not one.is_explained()]


def linked() -> dict[str, set[str]]:
    """Each place of the help that the console names, and the files that name it."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".vue", ".ts") and not path.name.endswith(".test.ts") and path.name != "FieldHelp.vue":
            for place in PLACE.findall(path.read_text(encoding="utf-8")):
                found.setdefault(place, set()).add(str(path.relative_to(ROOT)))
    return found


@pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="not built; run `make docs`")
def test_every_place_that_the_console_links_exists_in_both_languages() -> None:
    places = linked()
    assert len(places) > 80
    anchors: dict[Path, set[str]] = {}
    missing = []
    for place, files in places.items():
        page, _, anchor = place.partition("#")
        for language in ("", "en/"):
            path = SITE / language / page / "index.html"
            if path not in anchors:
                text = path.read_text(encoding="utf-8") if path.is_file() else ""
                anchors[path] = set(ANCHOR.findall(text))
            if anchor not in anchors[path]:
                missing.append(f"{language}{place} ({', '.join(sorted(files))})")
    assert missing == []


def test_every_field_of_a_form_links_the_help() -> None:
    counted = {file: n for files in WITHOUT.values() for file, n in files.items()}
    fields, wrong = 0, []
    for path in sorted(SOURCES.rglob("*.vue")):
        name = path.relative_to(SOURCES).as_posix()
        text = path.read_text(encoding="utf-8")
        if path.stem in PARTS or not TEMPLATE.search(text):
            continue
        fields += sum(one.tag in FIELDS for one in template_of(text).parts())
        lacks = unexplained(text)
        if len(lacks) != counted.pop(name, 0):
            wrong.append((name, [f"<{one.tag} {one.attributes}>"[:150] for one in lacks]))
    assert wrong == [], "a field without FieldHelp around it, or a `help` of its card or dialog"
    assert counted == {}, "no such file, or no field in it"
    assert fields > 150
    for part in (LINKS | TITLED) - {"FieldHelp"}:
        (path,) = SOURCES.rglob(f"{part}.vue")
        assert any(one.tag == "FieldHelp" for one in template_of(path.read_text(encoding="utf-8")).parts()), part


OF_FIELD = '<FieldHelp at="a#b" :of="c"><label><input type="date" /></label></FieldHelp>'
OF_CARD = '<FieldHelp at="a#b" :of="c"><h3>x</h3></FieldHelp>'


@pytest.mark.parametrize(
    ("inner", "lacking"),
    [
        ("<label><NInput /></label>", ["NInput"]),
        (OF_FIELD, []),
        (f"{OF_FIELD}<label><select></select></label>", ["select"]),
        (f"<section><header>{OF_CARD}</header><ul><NSwitch /></ul></section>", []),
        (f'{OF_CARD}<Dialog :title="x > 1"><textarea /></Dialog>', ["textarea"]),
        ('<Dialog :title="t" help="a#b"><ReplyText v-model="x" /></Dialog>', []),
        ('<p v-if="a < b">{{ a < b }}</p><input hidden /><NSelect\n  :options="[]"\n/>', ["NSelect"]),
    ],
)
def test_a_field_is_explained_by_a_link_around_it_or_at_the_head_of_its_card(inner: str, lacking: list[str]) -> None:
    assert [one.tag for one in unexplained(f"<template>\n  <div>{inner}</div>\n</template>\n")] == lacking
