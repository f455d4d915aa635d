"""The small defects that one line of Python may have. What only people read is left as it is.

Left out: docstrings, annotations, texts of log lines and errors, help, descriptions, examples, ``__repr__``, imports.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPPED = {
    ast.Lt: ("<", "<=", ">="), ast.LtE: ("<=", "<", ">"), ast.Gt: (">", ">=", "<="), ast.GtE: (">=", ">", "<"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+"), ast.FloorDiv: ("//", "*"),
               ast.Div: ("/", "*"), ast.Mod: ("%", "*"), ast.BitOr: ("|", "&"), ast.BitAnd: ("&", "|"),
               ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<")}  # fmt: skip
_EXAMPLE_CALLS = {"example", "body_example"}
_EXAMPLE_KEYWORDS = {"examples", "json_schema_extra"}
_PROSE_KEYWORDS = {"help", "description", "summary", "title", "metavar", "epilog", "short_help", "tags"}
_LOGGERS = {"log", "logger", "_log"}
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
_UNREAD_CALLS = {"NewType", "TypeVar", "ParamSpec", "cast", "get_logger", "getLogger", "assert_never", *_EXAMPLE_CALLS}


@dataclass(frozen=True, slots=True)
class Place:
    """One defect: on this line, the bytes from ``start`` to ``end`` become ``text``."""

    line: int
    start: int
    end: int
    text: str
    kind: str

    def applied(self, source: str) -> str:
        """The source with the defect."""
        lines = source.encode().split(b"\n")
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.start] + self.text.encode() + line[self.end :]
        return b"\n".join(lines).decode()


def places(source: str) -> list[Place]:
    """Every defect that the source may have, by line. A few do not compile."""
    tree = ast.parse(source)
    finder = _Finder(source, _examples(tree))
    finder.look(tree, None)
    return sorted(set(finder.found), key=lambda place: (place.line, place.start, place.end, place.text))


def compiles(place: Place, source: str) -> bool:
    """Whether the source with the defect is Python."""
    try:
        compile(place.applied(source), "defect", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def is_log_call(node: ast.AST) -> bool:
    """Whether the call writes a log line."""
    call = node.value if isinstance(node, ast.Await) else node
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    owner = call.func.value
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    return name in _LOGGERS and call.func.attr in _LEVELS


def _examples(tree: ast.Module) -> set[str]:
    """The names of the module that only examples of requests and answers are made of."""
    uses: dict[str, set[str | None]] = {}

    def look(node: ast.AST, within: str | None) -> None:
        """``within``: the name that is bound at the module's level; ``""``: an example."""
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _EXAMPLE_CALLS:
                within = ""
            case ast.keyword(arg=str(name)) if name in _EXAMPLE_KEYWORDS:
                within = ""
            case ast.Name(id=name, ctx=ast.Load()):
                uses.setdefault(name, set()).add(within)
            case _:
                pass
        for child in ast.iter_child_nodes(node):
            look(child, within)

    for statement in tree.body:
        look(statement, _bound(statement))
    found = {name for one in tree.body if (name := _bound(one)) and (name in uses or name.endswith("EXAMPLE"))}
    while wrong := {name for name in found if not uses.get(name, set()) <= found | {""}}:
        found -= wrong
    return found


def _bound(statement: ast.stmt) -> str | None:
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return target.id if isinstance(target, ast.Name) else None


class _Finder:
    def __init__(self, source: str, examples: set[str]) -> None:
        self._lines = source.encode().split(b"\n")
        self._examples = examples
        self.found: list[Place] = []

    def look(self, node: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> None:
        """Find the defects of the node and of what is in it."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name in {"__repr__", "__str__"}:
                return
            function = node
        if self._is_for_readers(node) or (isinstance(node, ast.stmt) and _bound(node) in self._examples):
            return
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in _UNREAD_CALLS:
            return
        for place in self._defects(node, function):
            if place.text.encode() != self._lines[place.line - 1][place.start : place.end]:
                self.found.append(place)
        for child in self._read_by_machines(node):
            self.look(child, function)

    @staticmethod
    def _is_for_readers(node: ast.AST) -> bool:
        if isinstance(node, ast.If):
            return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if isinstance(node, ast.Assign):
            return isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
        return isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or is_log_call(node)

    @staticmethod
    def _read_by_machines(node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "type_params"} or (isinstance(node, ast.Raise) and name == "exc"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.keyword) and child.arg in _PROSE_KEYWORDS | _EXAMPLE_KEYWORDS:
                    continue
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue  # a docstring
                if isinstance(child, ast.AST):
                    yield child

    def _defects(self, node: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> Iterator[Place]:
        match node:
            case ast.Compare():
                yield from self._compared(node)
            case ast.BoolOp():
                word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from self._between(left, right, word, (other,), f"{word} becomes {other}")
            case ast.BinOp() if type(node.op) in _ARITHMETIC and not self._is_text(node.left, node.right):
                sign, other = _ARITHMETIC[type(node.op)]
                yield from self._between(node.left, node.right, sign, (other,), "another operator")
            case ast.UnaryOp(op=ast.Not()):
                yield from self._replaced(node, self._text(node.operand), "a lost not")
            case ast.Constant():
                yield from self._other_constant(node)
            case ast.Call():
                yield from self._swapped_arguments(node, function)
            case ast.ExceptHandler(type=ast.expr() as caught):
                yield from self._uncaught(caught)
            case ast.stmt():
                yield from self._statement(node, function)
            case _:
                pass
        for test in self._tests(node):
            yield from self._replaced(test, f"(not {self._text(test)})", "the opposite condition")

    def _compared(self, node: ast.Compare) -> Iterator[Place]:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            sign, *others = _SWAPPED[type(operator)]
            yield from self._between(left, right, sign, tuple(others), f"{sign} becomes another comparison")
            left = right

    @staticmethod
    def _tests(node: ast.AST) -> Iterator[ast.expr]:
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            tests = [node.test]
        elif isinstance(node, ast.comprehension):
            tests = node.ifs
        for test in tests:
            if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Await):
                yield test

    def _statement(self, node: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> Iterator[Place]:
        match node:
            case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                says = function.returns if function else None
                if isinstance(says, ast.Name) and says.id == "bool" and not isinstance(value, ast.Constant):
                    yield from self._replaced(value, f"not ({self._text(value)})", "the opposite answer")
                else:
                    yield from self._replaced(value, "None", "no answer")
            case ast.Expr(value=ast.Call() | ast.Await() as value) if not is_log_call(value):
                yield from self._replaced(node, "pass", "a lost call")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign() | ast.Delete():
                yield from self._replaced(node, "pass", "a lost assignment")
            case ast.Raise() | ast.Return(value=None):
                yield from self._replaced(
                    node, "pass", "a lost refusal" if isinstance(node, ast.Raise) else "a lost return"
                )
            case ast.Continue():
                yield from self._replaced(node, "break", "break for continue")
            case ast.Break():
                yield from self._replaced(node, "continue", "continue for break")
            case _:
                pass

    def _uncaught(self, caught: ast.expr) -> Iterator[Place]:
        if isinstance(caught, ast.Tuple):
            for one in caught.elts:
                yield from self._replaced(one, "()" if len(caught.elts) == 1 else "*()", "an error that is not caught")
        else:
            yield from self._replaced(caught, "()", "an error that is not caught")

    def _other_constant(self, node: ast.Constant) -> Iterator[Place]:
        value = node.value
        if isinstance(value, bool):
            yield from self._replaced(node, str(not value), "the other truth")
        elif isinstance(value, int):
            for other in {value + 1, value - 1 if value > 1 else value + 2}:
                yield from self._replaced(node, str(other), "another number")
        elif isinstance(value, float):
            yield from self._replaced(node, repr(value * 10 or 1.0), "another number")
        elif isinstance(value, str):
            text = f"{value}x" if value else "x"
            yield from self._replaced(node, json.dumps(text, ensure_ascii=not text.isprintable()), "another text")

    def _swapped_arguments(
        self, node: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> Iterator[Place]:
        types: dict[str, str] = {}
        if function is not None:
            given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
            types = {one.arg: ast.unparse(one.annotation) for one in given if one.annotation}

        def kind(one: ast.expr) -> str | None:
            return types.get(one.id) if isinstance(one, ast.Name) else None

        for one, other in zip(node.args, node.args[1:], strict=False):
            if one.lineno == other.end_lineno and kind(one) is not None and kind(one) == kind(other):
                end = other.end_col_offset or 0
                text = f"{self._text(other)}, {self._text(one)}"
                yield Place(one.lineno, one.col_offset, end, text, "swapped arguments")

    def _between(
        self, left: ast.expr, right: ast.expr, sign: str, others: tuple[str, ...], kind: str
    ) -> Iterator[Place]:
        if left.end_lineno != right.lineno or left.end_col_offset is None:
            return
        gap = self._lines[right.lineno - 1][left.end_col_offset : right.col_offset].decode()
        found = re.search(rf"(?<![\w<>=!]){re.escape(sign)}(?![\w<>=])", gap)
        if found:
            start = left.end_col_offset + found.start()
            for other in others:
                yield Place(right.lineno, start, start + len(sign), other, kind)

    def _replaced(self, node: ast.stmt | ast.expr, text: str, kind: str) -> Iterator[Place]:
        if node.lineno == node.end_lineno and node.end_col_offset is not None and text:
            yield Place(node.lineno, node.col_offset, node.end_col_offset, text, kind)

    def _text(self, node: ast.expr) -> str:
        if node.lineno != node.end_lineno:
            return ""
        return self._lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()

    @staticmethod
    def _is_text(*operands: ast.expr) -> bool:
        return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in operands)
