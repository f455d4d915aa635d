"""Calls that the sources must not contain: running input as code, shells, guessable randomness, writing HTML."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "shoal"
SANDBOX = "sandbox/"
"""The local sandbox: it holds no secrets and must be reproducible."""

RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
RUNS_DATA = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "xml"}
"""Modules whose readers create objects, or open what the data names. Only defusedxml may read XML."""
READS_YAML = {"maintenance/shop_file/yaml_values.py", "maintenance/shop_file/export.py"}
YAML_IN_USE = {
    "parse", "dump", "Node", "SafeDumper", "SafeLoader", "YAMLError", "DocumentStartEvent", "AliasEvent",
    "ScalarEvent", "CollectionStartEvent", "CollectionEndEvent", "SequenceStartEvent",
}  # fmt: skip
"""YAML is read as events, of which values are made here: its loaders make objects, and follow aliases without limit."""
SHELLS = {"system", "popen", "spawnl", "spawnv", "posix_spawn", "create_subprocess_shell", "getoutput"}
STARTS_A_PROCESS = {
    "cli/demo/child_process.py", "concurrency/bounded_processes.py", "maintenance/backup/schedule.py",
    "notices/apprise_process.py",
}  # fmt: skip
"""Each of them starts only this interpreter, on one of our modules."""
GUESSABLE = {
    "accounts/account_task.py", "accounts/backoff.py", "accounts/cookie_manager.py", "accounts/task_manager.py",
    "connection/site_login.py", "connection/keepalive.py", "connection/xianyu_live.py", "messages/conversations.py",
    "xianyu/identity.py", "xianyu/qr_login.py",
}  # fmt: skip
"""Modules that may use a predictable generator: for waits, and for numbers that the site's own page makes up."""
NAMES_OF_OURS = {
    "storage/columns.py", "storage/engines.py", "storage/database_stats.py", "storage/rule_table.py",
    "storage/migrations/versions/0008_first_hours.py", "storage/migrations/versions/0038_storable_texts.py",
    "maintenance/backup/loading.py",
    "maintenance/backup/restoring.py", "maintenance/backup/snapshot.py", "maintenance/store_migration/migrating.py",
}  # fmt: skip
"""Modules that put SQL text together from names that are none of a request: pragmas, BEGIN, tables, columns."""
SITE_SIGNATURE = "xianyu/sign.py"
"""The site requires MD5 from its callers."""
KEPT_IN_THE_BROWSER = {
    "shoal.appearance", "shoal.columns", "shoal.draft.", "shoal.first-steps", "shoal.groups", "shoal.language",
    "shoal.push", "shoal.signed-in", "shoal.told", "shoal.tried", "shoal.views",
}  # fmt: skip
LED_TO = {
    "account.action_url", "props.account.action_url", "login.action_url", "order.url", "facts.url",
    "`https://www.goofish.com/item?id=${encodeURIComponent(facts.item_id)}`", "file", "'/console/login'",
    "`https://www.goofish.com/item?id=${encodeURIComponent(itemId)}`", "href", "goal", "address", "part.href",
    "helpPlace('howto/colleagues#forgotten', locale)",
}  # fmt: skip
"""What the console opens: checked pages of the site, stored files, the login, its own pages, the help; and links in
messages (``part.href``), which ``common/links.ts`` lets be addresses of the web only."""
WRITES_HTML = re.compile(
    r"v-html|innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|srcdoc|document\.write|Function\(|\beval\("
)


@cache
def _sources() -> tuple[tuple[str, ast.Module], ...]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return tuple((path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


@cache
def _nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return what any test here looks at."""
    looked_at = (ast.Import, ast.ImportFrom, ast.Call, ast.Attribute)
    return tuple(node for node in ast.walk(tree) if isinstance(node, looked_at))


def _imports(tree: ast.Module) -> set[str]:
    """Return the full names of the imported modules."""
    found: set[str] = set()
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _called(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the last part of the called name."""
    for node in _nodes(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield f".{node.func.attr}", node
            elif isinstance(node.func, ast.Name):
                yield node.func.id, node


def test_nothing_that_came_in_is_run_or_unpickled() -> None:
    files = 0
    for name, tree in _sources():
        files += 1
        assert RUNS_TEXT.isdisjoint(called for called, _ in _called(tree)), name
        assert RUNS_DATA.isdisjoint(module.partition(".")[0] for module in _imports(tree)), name
    assert files > 150


def test_yaml_is_read_as_events_only() -> None:
    readers = {name for name, tree in _sources() if "yaml" in _imports(tree)}
    assert readers == READS_YAML
    for name, tree in _sources():
        used = {
            node.attr
            for node in _nodes(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml"
        }
        assert used <= YAML_IN_USE, name


def test_no_shell_is_asked_and_only_the_demo_and_tables_start_a_process() -> None:
    starts = set()
    for name, tree in _sources():
        calls = {called.removeprefix(".") for called, _ in _called(tree)}
        assert SHELLS.isdisjoint(calls), name
        if "create_subprocess_exec" in calls or "subprocess" in _imports(tree):
            starts.add(name)
        for called, call in _called(tree):
            assert not any(word.arg == "shell" for word in call.keywords), (name, called)
    assert starts == STARTS_A_PROCESS


def _is_constant(text: ast.expr) -> bool:
    if isinstance(text, ast.JoinedStr):
        return all(_is_constant(part) for part in text.values)
    if isinstance(text, ast.FormattedValue):
        return isinstance(text.value, ast.Name) and text.value.id.isupper()
    return isinstance(text, ast.Constant) or (isinstance(text, ast.Name) and text.id.isupper())


def test_what_came_in_stands_in_no_text_of_sql() -> None:
    """SQLAlchemy builds the queries. A text of SQL is always a constant, or put together from constants alone."""
    given = 0
    for name, tree in _sources():
        speaks_sql = any(module.partition(".")[0] in {"sqlalchemy", "alembic"} for module in _imports(tree))
        if not speaks_sql or name in NAMES_OF_OURS:
            continue
        for called, call in _called(tree):
            if called.removeprefix(".") not in {"text", "exec_driver_sql", "literal_column"} or not call.args:
                continue
            assert _is_constant(call.args[0]), (name, called, call.lineno)
            given += 1
        for called, call in _called(tree):
            if called == ".execute" and call.args:
                assert not isinstance(call.args[0], ast.BinOp), (name, call.lineno)
                assert not isinstance(call.args[0], ast.JoinedStr) or _is_constant(call.args[0]), (name, call.lineno)
    assert given > 20


def test_what_must_not_be_guessed_is_made_by_the_systems_generator() -> None:
    uses = {name for name, tree in _sources() if "random" in _imports(tree) and not name.startswith(SANDBOX)}
    assert uses <= GUESSABLE, "make secrets by `secrets` or os.urandom"
    assert {"secrets", "os"} & _imports(ast.parse((PACKAGE / "storage/vault.py").read_text(encoding="utf-8")))


def test_hashes_are_sha_256_but_for_the_sites_own_signature() -> None:
    used: dict[str, set[str]] = {}
    for name, tree in _sources():
        for called, call in _called(tree):
            if called in {".md5", ".sha1", ".sha224", ".new"} and _is_of(call, "hashlib"):
                used.setdefault(name, set()).add(called)
                assert any(word.arg == "usedforsecurity" for word in call.keywords), name
    assert {name for name in used if not name.startswith(SANDBOX)} == {SITE_SIGNATURE}


def test_one_cipher_seals() -> None:
    """Only AES-GCM of one library encrypts what is stored, and ChaCha20-Poly1305 the files of backups.

    One more place opens what another system sealed, when its data moves in. It seals nothing.
    """
    ciphers: dict[str, set[str]] = {}
    for name, tree in _sources():
        found = {module for module in _imports(tree) if module.startswith("cryptography.hazmat.primitives.ciphers")}
        if found:
            ciphers[name] = found
    aead = "cryptography.hazmat.primitives.ciphers.aead"
    known = {aead, f"{aead}.AESGCM"}
    backups = {aead, f"{aead}.ChaCha20Poly1305"}
    assert ciphers == {
        "storage/vault.py": known, "maintenance/moving/ydisks_form.py": known,
        "maintenance/backup/envelope.py": backups, "maintenance/backup/locks.py": backups,
    }  # fmt: skip
    assert ".encrypt(" not in (PACKAGE / "maintenance/moving/ydisks_form.py").read_text(encoding="utf-8")


def _is_of(call: ast.Call, module: str) -> bool:
    return (
        isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == module
    )


def _pages() -> Iterator[tuple[str, str]]:
    sources = ROOT / "web" / "src"
    for path in sorted(sources.rglob("*")):
        if path.suffix in {".js", ".ts", ".vue"} and not path.name.endswith(".test.ts") and path.name != "schema.d.ts":
            yield path.relative_to(sources).as_posix(), path.read_text(encoding="utf-8")


def test_the_console_shows_texts_as_texts() -> None:
    pages = dict(_pages())
    assert len(pages) > 50
    for name, text in pages.items():
        assert not WRITES_HTML.search(text), name
        # only our own worker speaks to that
        heard = text.replace("navigator.serviceWorker?.addEventListener('message'", "")
        assert not re.search(r"postMessage|addEventListener\(['\"]message|jsonp", heard, re.IGNORECASE), name
        assert not re.search(r"<(object|embed|applet|iframe|frame)\b", text), name
        assert not re.search(r'target="_blank"(?!\s+rel="noopener)', text), name


def test_f15_every_address_that_the_console_leads_to_is_one_of_ours_or_of_the_site() -> None:
    """A link leads to a page that the server knows as the site's, or to the site's own address in the sources."""
    led = set()
    for _, text in _pages():
        led |= set(re.findall(r'\s:href="([^"]+)"', text)) | set(re.findall(r"window\.open\(([^,)]+)", text))
        led |= set(re.findall(r"location\.(?:href\s*=|assign\(|replace\()\s*([^;)]+)", text))
    assert led == LED_TO


def test_f15_every_page_but_the_sign_in_has_the_button_that_signs_out() -> None:
    """Every page except those without a login is inside the frame, and nothing hides the menus with the button."""
    pages = dict(_pages())
    tops = re.findall(r"^    \{\s*path: '([^']*)',\s*(.*)", pages["app/router.ts"], re.MULTILINE)
    assert [path for path, _ in tops] == ["/login", "/join", "/"]
    assert [("open: true" in rest, "Frame.vue" in rest) for _, rest in tops] == [(True, False)] * 2 + [(False, True)]
    ways = (
        ("Frame", r"<Shell />"),
        ("Shell", r"<TopBar[^>]*>"),
        ("Shell", r"<UserMenu[^>]*>"),
        ("TopBar", r"<UserMenu[^>]*>"),
        ("UserMenu", r"<button[^>]*data-test=\"sign-out\"[^>]*>"),
    )
    for page, tag in ways:
        found = re.search(tag, pages[f"app/{page}.vue"])
        assert found is not None, (page, tag)
        assert not re.search(r"v-if|v-show|wide-only|narrow-only", found[0]), (page, tag)


def test_no_page_merges_what_came_into_its_objects() -> None:
    """Prototype pollution needs a key of a key from input, or a library that merges deeply."""
    for name, text in _pages():
        assert not re.search(r"\[[\w.]+\]\??\.?\[[\w.]+\]\s*=[^=>]", text), name
        assert "__proto__" not in text, name
        assert "constructor.prototype" not in text, name
    needed = json.loads((ROOT / "web" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert not {"lodash", "lodash-es", "deepmerge", "defu", "merge", "extend", "jquery"} & needed.keys()


def test_the_console_keeps_in_the_browser_how_it_looks_and_what_is_not_sent_yet_and_nothing_else() -> None:
    kept = set()
    for name, text in _pages():
        assert not re.search(r"sessionStorage|indexedDB|document\.cookie|caches\.open", text), name
        keys = re.findall(r"localStorage\.setItem\((\w+(?:\(key\))?),", text)
        assert len(keys) == text.count("localStorage.setItem("), name
        for key in keys:
            constant = "PREFIX" if key == "placeOf(key)" else key
            found = re.search(rf"const {constant} = '([^']+)'", text)
            assert found is not None, name
            kept.add(found[1])
    assert kept == KEPT_IN_THE_BROWSER


def test_passwords_are_typed_hidden_and_password_managers_are_welcome() -> None:
    seen = 0
    for name, text in _pages():
        assert not re.search(r"onpaste|@copy\.prevent|addEventListener\(['\"]paste", text), name
        for tag in re.findall(r"<(?:input|NInput|PlainInput)\b[^>]*-password[^>]*>", text):
            assert "@paste" not in tag, (name, tag)
            assert re.search(r"autocomplete(: '|=\")(current|new)-password", tag), (name, tag)
            assert re.search(r"\ssecret\b|type=\"password\"|:type=\"\w+ \? 'text' : 'password'\"", tag), (name, tag)
            seen += 1
    assert seen >= 1
