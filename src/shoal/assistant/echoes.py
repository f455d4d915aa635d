"""Echoes in a model's text: its instructions, words of a chat protocol, calls of tools, and markup. Pure."""

from __future__ import annotations

import re
from typing import Final

_WINDOW: Final = 14
"""So many signs in a row of the instructions are no accident."""
_SIGNS: Final = re.compile(r"[\W_]+")
_MARKUP: Final = re.compile(
    r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|tool|function|think|s|inst|script|img|a|iframe)\b|\[/?inst\]|```|<</?sys>>|"
    r"(?<![a-z])(?:system|assistant|user|developer)\s*[:：]|(?:^|\n)\s*(?:human|系统|助手|指令)\s*[:：]|tool_calls?|function_call|\"(?:action|offered_fen|role|content|arguments)\"\s*:|"
    r"!?\[[^\]\n]{0,80}\]\s?\([^)\n]{1,200}\)|</?[a-z]{1,10}[^<>\n]{0,80}>|offered_fen|"
    r"系统提示|提示词|我的(?:指令|设定|人设|规则)|system\s+prompt|my\s+(?:instructions|prompt|rules)|ignore\s+(?:all\s+)?(?:previous|prior)|忽略(?:之前|以上|所有)|"
    r"\{\{[^}]{0,40}\}\}|\{[a-z_]{2,30}\}"
)


def echoes_in(text: str, plain_text: str, instructions: str) -> tuple[str, ...]:
    """Return the markup in a text, and the first piece that stands in the instructions too."""
    found = [
        match[0].strip() for pattern_text in {text.casefold(), plain_text} for match in _MARKUP.finditer(pattern_text)
    ]
    dense, there = _SIGNS.sub("", plain_text), _SIGNS.sub("", instructions)
    for at in range(len(dense) - _WINDOW + 1):
        if (piece := dense[at : at + _WINDOW]) in there:
            found.append(piece)
            break
    return tuple(dict.fromkeys(found))
