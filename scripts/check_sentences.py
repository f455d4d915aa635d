"""Compare the sentence catalogues with each other and with the code: ``python scripts/check_sentences.py``."""

from __future__ import annotations

import ast
import gc
import re
import string
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import get_args

import typer

from shoal.accounts.account import AccountState, ParkReason
from shoal.accounts.diagnosis import PROXY_REASONS
from shoal.accounts.model_settings import ModelLack, ModelMode
from shoal.accounts.shop_settings import SETTINGS
from shoal.api.http.problem_table import PROBLEMS
from shoal.api.routes.ops import OpAnswer
from shoal.api.schemas.orders import OrderStatusShape
from shoal.assistant.budget import NoRoomWhy
from shoal.assistant.model_calls import WhyFailed
from shoal.assistant.rail_facts import Why
from shoal.assistant.trial import TrialDecision
from shoal.cli.app import app
from shoal.cli.commands.own import SCOPES
from shoal.cli.commands.users import ROLES
from shoal.cli.doctor.findings import Look
from shoal.cli.run_rows import keys_of, rows_in
from shoal.connection.qr_steps import QrLoginState
from shoal.goods.goods import GoodsKind
from shoal.goods.imports import SAME_FILE
from shoal.goods.suppliers import Meaning
from shoal.goods.unit_states import UnitState
from shoal.language.catalogue import ROOT, read_catalogue
from shoal.maintenance.moving.contract import reported_codes
from shoal.maintenance.moving.old_shop import Fate, Source
from shoal.maintenance.moving.plan import Kind
from shoal.maintenance.moving.run_store import RunState
from shoal.maintenance.shop_file.applying import Outcome
from shoal.maintenance.shop_file.reading import KINDS
from shoal.messages.chat_status import WorkStatus
from shoal.messages.model_source import RunState as ModelRunState
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.replies import AnswerSource
from shoal.notices.machine_incidents import OF_MACHINES
from shoal.notices.transport import Failure
from shoal.orders.delivery_check import ShopObstacle, SpecObstacle
from shoal.orders.delivery_rows import GIVEN_BACK
from shoal.orders.explain_order import Obstacle
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_status import OF_THE_RULES, OrderProblem
from shoal.orders.order_waits import WaitsFor
from shoal.orders.sent_again import ANOTHER_UNIT, SAME_AGAIN
from shoal.rules.rule import MatchMode
from shoal.rules.rule_lint import WarningCode
from shoal.storage.incident_kinds import POLICIES, IncidentKind, Level
from shoal.xianyu.cookie_string import Flaw

PACKAGE = ROOT.parent
ASKING = {"translate", "knows", "advice_on", "words", "word_or", "ConfigError", "_bad"}
"""The functions whose first argument is a key."""
_OF_ONE_SERVER = {f"{kind}_of" for kind in OF_MACHINES}
FAMILIES: dict[str, Collection[str] | None] = {
    "ai.decisions": set(TrialDecision),
    "ai.faults": {"action", "missing", "no_answer", "said"},
    "ai.files": None,
    "ai.lacks": set(ModelLack),
    "ai.modes": set(ModelMode),
    "ai.why": {*Why, *NoRoomWhy, *WhyFailed, "budget", "busy", "interrupted", "turns", "bad_output", "item_gone"},
    "advice": None,
    "channels.failures": set(Failure),
    "cli.ago": None,
    "refusal": {"CSI_FORBID"},
    "fields": None,
    "fields.hint": set(SETTINGS),
    "cli.demo.order": {"ordered", "paid", "shipped"},
    "cli.channels.levels": set(Level),
    "cli.chats.outcomes": set(SendOutcome),
    "cli.chats.work": set(WorkStatus),
    "cli.items.states": {"on_sale", "gone", "unknown"},
    "cli.items.why": {"risk_control", "login_expired", "other_seller", "bad_reply"},
    "cli.goods.kinds": set(GoodsKind),
    "cli.goods.outcomes": set(Meaning),
    "cli.history.outcomes": set(get_args(OpAnswer.model_fields["state"].annotation)),
    "cli.imports.fate": set(Fate),
    "cli.imports.fates": set(Fate),
    "cli.imports.kinds": set(Kind),
    "cli.imports.states": set(RunState),
    "cli.imports.systems": set(Source),
    "cli.outcome": set(ActionState),
    "cli.reason": {*ParkReason, "answers_nothing", "answers_orders"},
    "cli.rules.modes": set(MatchMode),
    "cli.rules.sources": set(AnswerSource) - {AnswerSource.ITEM_RULE, AnswerSource.GENERAL_RULE},
    "cli.shop_file.outcome": set(Outcome) - {Outcome.UNCHANGED},
    "cli.state": {*AccountState, "mute"},
    "cli.table": None,
    "cli.tokens.scopes": set(SCOPES),
    "cli.users.roles": set(ROLES),
    "cli.webhooks.errors": {
        "private_target",
        "unknown_host",
        "no_connection",
        "certificate",
        "connect_timeout",
        "timeout",
        "no_answer",
        "redirect",
    },
    "cli.webhooks.states": {"on", "off", "failing", "down", "gone"},
    "cookie_flaw": set(Flaw),
    "doctor.do": None,
    "doctor.is": None,
    "doctor.name": set(Look),
    "doctor.proxy": {*PROXY_REASONS, "untrusted", "timeout", "unknown_host", "unreachable"},
    "incident.clock": {"ahead", "behind", "ahead_of_data", "behind_of_data", "days", "hours"},
    "incident.do": set(IncidentKind),
    "incident.model": {"tokens", "money", *WhyFailed},
    "incident.off": {"down", "gone"},
    "incident.over": {*(kind for kind, policy in POLICIES.items() if policy.has_end), *_OF_ONE_SERVER},
    "incident.title": {*IncidentKind, *_OF_ONE_SERVER},
    "moving.odd": None,
    "obstacle": {*Obstacle, *ShopObstacle, *SpecObstacle, "no_specs", "spec_unnamed"},
    "order_advice": {*OrderProblem, "resolved"} - OF_THE_RULES,
    "order_file": None,
    "order_status": set(OrderStatusShape),
    "run_state": set(ModelRunState),
    "order_waits": set(WaitsFor),
    "order_step": {*Action, SAME_AGAIN, ANOTHER_UNIT, GIVEN_BACK},
    "park": set(ParkReason),
    "permission": None,
    "problems": set(PROBLEMS),
    "qr_login": set(QrLoginState),
    "retry": None,
    "rule_lint": set(WarningCode),
    "rule_trial.blocked": None,
    "rule_trial.why_not": None,
    "shop_file.kind": set(KINDS.values()),
    "shop_file.what": None,
    "unit_double": {SAME_FILE, *UnitState},
    "unit_state": set(UnitState),
    "weakness": None,
}
"""The families of keys that the code builds, by the part before the code, with their codes.

``None``: any string of the code may be a code of the family.
"""

_OF_ROWS = ("cli.", "ai.", "ai_providers.")
"""How the keys begin that stand in rows of commands."""
_LOOKED_AT = (ast.Call, ast.Constant)
_KEY = re.compile(r"[a-z_]+(\.[\w/-]+)+")
_HOLE = re.compile(r"(?<!{){(\w+)")
_CHINESE = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


def faults(zh: Mapping[str, str], en: Mapping[str, str], sources: Collection[str]) -> list[str]:
    """Return a line for each fault."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, _LOOKED_AT)]
    asked, built, strings = _uses(nodes)
    in_help = keys_of_help()
    strings |= in_help
    built |= strings & FAMILIES.keys()
    asked |= in_help
    asked |= {text for text in strings if text.startswith(_OF_ROWS) and _KEY.fullmatch(text)} - _parts(zh)
    strings |= reported_codes()
    asked |= {f"moving.odd.{code}" for code in reported_codes()}
    return [
        *(f"{key}: only in Chinese" for key in sorted(zh.keys() - en.keys())),
        *(f"{key}: only in English" for key in sorted(en.keys() - zh.keys())),
        *(f"{key}: the code asks for it, the catalogues lack it" for key in sorted(asked - zh.keys())),
        *(f"{name}.…: the code builds such keys, FAMILIES lacks them" for name in sorted(built - FAMILIES.keys())),
        *_unused(zh, built, strings),
        *_not_given(en, nodes),
        *(fault for key in sorted(zh.keys() & en.keys()) for fault in _unlike(key, zh[key], en[key])),
    ]


def _parts(keys: Collection[str]) -> set[str]:
    """Return the beginnings of keys up to a dot: those of families, and of the help of groups."""
    return {key[:end] for key in keys for end in range(len(key)) if key[end] == "."}


def keys_of_help() -> set[str]:
    """Return the keys of the help of commands that are rows."""
    found = list(rows_in(typer.main.get_command(app)))
    groups = {f"{root}.help.{words[-2]}" for name, _, root in found if len(words := name.split()) > 2}
    return groups.union(*(keys_of(one, root) for _, one, root in found))


def _unused(zh: Mapping[str, str], built: set[str], strings: set[str]) -> Iterator[str]:
    had: dict[str, set[str]] = {}
    for key in zh:
        name, code = _family_of(key)
        had.setdefault(name, set()).add(code)
        if key not in strings and not (name in built and code in (FAMILIES[name] or strings)):
            yield f"{key}: nothing uses it"
    for name, codes in FAMILIES.items():
        for code in sorted(set(codes or ()) - had.get(name, set())):
            yield f"{name}.{code}: the catalogues lack it"


def _not_given(texts: Mapping[str, str], nodes: Collection[ast.AST]) -> Iterator[str]:
    """Placeholders that a call with a plain key, or an error with a plain code, leaves empty."""
    for node in (node for node in nodes if isinstance(node, ast.Call)):
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        first = node.args[0] if node.args and _name_of(node.func) in ASKING else None
        code = given.get("code")
        keys = {str(part.value) for part in ast.walk(first) if isinstance(part, ast.Constant)} if first else set()
        if isinstance(code, ast.Constant) and not keys:
            keys = {f"problems.{code.value!s}"}
        for key in keys & texts.keys() if None not in given else ():
            if lacking := set(_HOLE.findall(texts[key])) - given.keys():
                yield f"{key}: the code does not give {', '.join(sorted(lacking))}"


def _family_of(key: str) -> tuple[str, str]:
    """The family of a key and its code in it; of a key that belongs to none, nothing."""
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if (name := ".".join(parts[:end])) in FAMILIES:
            return name, parts[end]
    return "", ""


def _unlike(key: str, zh: str, en: str) -> Iterator[str]:
    try:
        if _names(zh) != _names(en):
            yield f"{key}: the placeholders differ"
    except ValueError as error:
        yield f"{key}: {error}"
    if _CHINESE.search(en):
        yield f"{key}: Chinese in the English sentence"
    if not _CHINESE.search(zh) and zh != en:
        yield f"{key}: no Chinese in the Chinese sentence"


def _names(text: str) -> set[str]:
    found = set()
    for _, name, spec, _ in string.Formatter().parse(text):
        if spec and spec.count("|") != 1:
            raise ValueError(f"{{{name}:{spec}}} is not of the form {{count:one|many}}")
        found |= {name} if name is not None else set()
    return found


def _uses(nodes: Collection[ast.AST]) -> tuple[set[str], set[str], set[str]]:
    """Return the keys in the code, the families of built keys, and all strings."""
    asked: set[str] = set()
    built = {row.codes for row in PROBLEMS.values() if row.codes}
    strings = {f"parked_{why}" for why in ParkReason} | {"sendings_refused", "sendings_uncertain"}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        if isinstance(node, ast.Call) and _name_of(node.func) in ASKING and node.args:
            for part in ast.walk(node.args[0]):
                if isinstance(part, ast.JoinedStr) and isinstance(part.values[0], ast.Constant):
                    built.add(str(part.values[0].value).rpartition(".")[0])
                elif isinstance(part, ast.Constant) and _KEY.fullmatch(str(part.value)):
                    asked.add(str(part.value))
    return asked, built, strings


def _name_of(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""


def sources_of(package: Path) -> list[str]:
    """Return the source of every module that may use a sentence. The sandbox plays the site and is left out."""
    return [path.read_text("utf-8") for path in package.rglob("*.py") if "sandbox" not in path.parts]


if __name__ == "__main__":
    gc.disable()  # all nodes of the code stay until the end
    found = faults(read_catalogue(ROOT / "zh"), read_catalogue(ROOT / "en"), sources_of(PACKAGE))
    sys.stderr.write("".join(f"{line}\n" for line in found))
    sys.exit(bool(found))
