"""Each dialog of the console in which one writes says what would be lost with it, and why it could not be saved."""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "web" / "src"
DIALOG = re.compile(r"<(?:Once)?Dialog\b.*?</(?:Once)?Dialog>", re.DOTALL)
WRITES = re.compile(r"<textarea\b|<input\b|<NInput\b|<ReplyText\b|Fields\b|<CookiePaste\b|<BatchForm\b")
HEAD = re.compile(r"<(?:Once)?Dialog\b(?:[^>\"]|\"[^\"]*\")*>")
NOTHING_IS_LOST = {
    "accounts/RemoveAccount.vue": "a name is typed to confirm",
    "users/RemoveUser.vue": "a name is typed to confirm",
    "deliveries/Rehearsal.vue": "a purchase is only tried",
    "settings/Totp.vue": "a password and a code that is good for half a minute",
    "notices/WebhookAttempts.vue": "a moment is chosen",
    "rules/RulesCopy.vue": "shops are searched for",
    "orders/OrderDecision.vue": "one of two outcomes is chosen",
    "chats/SnoozeDialog.vue": "a moment is chosen",
}


def _dialogs() -> dict[str, str]:
    texts = {path.relative_to(SOURCES).as_posix(): path.read_text("utf-8") for path in SOURCES.rglob("*.vue")}
    found = {name: DIALOG.search(text) for name, text in texts.items()}
    return {name: dialog[0] for name, dialog in found.items() if dialog and not name.startswith("common/ui/")}


def test_g20_a_dialog_in_which_one_writes_keeps_what_is_written() -> None:
    written = {name: dialog for name, dialog in _dialogs().items() if WRITES.search(dialog)}
    assert len(written) > 15
    heads = {name: HEAD.search(dialog) for name, dialog in written.items()}
    unguarded = {name for name, head in heads.items() if head is None or ":draft=" not in head[0]}
    assert unguarded == set(NOTHING_IS_LOST)


def test_g20_a_dialog_tells_a_refusal_beside_its_buttons() -> None:
    """The dialog shows what stands in ``problem``; a sentence of its own would stand below the fold of a long form."""
    own = {
        name
        for name, dialog in _dialogs().items()
        if "<form" in dialog and re.search(r"<p v-if=\"(?:problem|refused)\"", dialog)
    }
    assert own == set()
