"""A message as MyST reads it: its formulas, code, roles, links and emphasis.

Markdown finds the end of bold text by the characters around it, and takes a Chinese character for
a letter: the asterisks of ``**语言模型（LM）**的`` would be printed. In `ChineseInline`, as in most
programs made for Chinese, they need no space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline.state_inline import Scanned, StateInline
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

CJK = re.compile(r"[\u2014\u2018-\u201d\u2026\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
EXTENSIONS = {"amsmath", "colon_fence", "deflist", "dollarmath", "html_image", "substitution"}
TARGET = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.DOTALL)
TEXT_ROLES = ("term", "ref", "doc", "numref")  # roles that may show a text of their own


class ChineseInline(StateInline):
    """The state of the inline parser, for which Chinese characters end no word."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:
        """Return whether asterisks or underscores can open and close emphasis.

        Parameters
        ----------
        start
            The place of the first of them.
        canSplitWord
            Whether they may stand within a word, as asterisks may.

        Returns
        -------
        scanned : Scanned
            What the parser needs to know.
        """
        can_open, can_close, length = super().scanDelims(start, canSplitWord)
        before = self.src[start - 1 : start]
        after = self.src[start + length : start + length + 1]
        if canSplitWord and before.strip() and after.strip():
            is_chinese = bool(CJK.match(before) or CJK.match(after))
            can_open, can_close = can_open or is_chinese, can_close or is_chinese
        return Scanned(can_open, can_close, length)


def parse_inline(
    text: str, md: MarkdownIt, env: MutableMapping[str, Any], tokens: list[Token]
) -> None:
    """Parse a text within a paragraph, as ``md.inline.parse`` does, by the rules for Chinese.

    Parameters
    ----------
    text
        The Markdown.
    md, env
        The parser and its memory.
    tokens
        The list to which the parsed tokens are added.
    """
    state = ChineseInline(text, md, env, tokens)
    md.inline.tokenize(state)
    for rule in md.inline.ruler2.getRules(""):
        rule(state)


@cache
def _parser() -> MarkdownIt:
    """Return a parser with the extensions of the book's pages."""
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)


@dataclass
class Parts:
    """What a message is made of.

    Parameters
    ----------
    formulas, code, links, images, roles, html
        What has to be the same in the translation: formulas, code, addresses of links and images,
        roles with their targets, and HTML.
    emphasis
        How many words are set in italics ("em"), in bold ("strong") and struck through ("s").
    text
        What is left, the words; `GAP` stands for each of the parts.
    """

    formulas: Counter[str] = field(default_factory=Counter)
    code: Counter[str] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    html: Counter[str] = field(default_factory=Counter)
    emphasis: Counter[str] = field(default_factory=Counter)
    text: str = ""


GAP = "\N{OBJECT REPLACEMENT CHARACTER}"
CODE_GAP = "\N{REPLACEMENT CHARACTER}"


def read_parts(message: str) -> Parts:
    """Return the parts of a message in Markdown."""
    tokens: list[Token] = []
    parse_inline(message, _parser(), {}, tokens)
    parts = Parts()
    parts.text = "".join([_add(token, parts) for token in _flat(tokens)])
    return parts


def _flat(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield tokens, each image followed by those of its text alternative."""
    for token in tokens:
        yield token
        if token.type == "image":
            yield Token("text", "", 0, content=" ")
            yield from _flat(token.children or [])


def _add(token: Token, parts: Parts) -> str:
    """Add a token to the parts of a message, and return what is left of it in the text."""
    kind = token.type
    if kind == "myst_role":
        return _add_role(token, parts)
    counted = {
        "code_inline": (parts.code, token.content),
        "html_inline": (parts.html, token.content),
        "link_open": (parts.links, str(token.attrs.get("href", ""))),
        "image": (parts.images, str(token.attrs.get("src", ""))),
        "math_inline": (parts.formulas, token.content.strip()),
        "math_inline_double": (parts.formulas, token.content.strip()),
        **{f"{tag}_open": (parts.emphasis, tag) for tag in ("em", "strong", "s")},
    }
    if kind in counted:
        counter, part = counted[kind]
        counter[part] += 1
    left = {"code_inline": CODE_GAP, "softbreak": " ", "hardbreak": " ", "text": token.content}
    return GAP if kind.startswith("math_inline") else left.get(kind, "")


def _add_role(token: Token, parts: Parts) -> str:
    """Add a role to the parts of a message, and return what it shows."""
    name, target, text = read_role(token.meta["name"], token.content)
    parts.roles[f"{{{name}}}{target}"] += 1
    if name == "numref" and text is None:
        return f"图 {GAP}"  # as Sphinx writes it, without a space before it
    return GAP if text is None else text


def read_role(name: str, content: str) -> tuple[str, str, str | None]:
    """Take a role apart.

    Parameters
    ----------
    name, content
        As in ``{name}`content```.

    Returns
    -------
    name, target, text : str, str, str or None
        ``{term}`values <value>``` has the target "value" and the text "values"; the text is None
        where Sphinx writes it.
    """
    explicit = TARGET.match(content) if name in TEXT_ROLES else None
    if explicit:
        return name, explicit[2], explicit[1]
    return name, content, content if name == "term" else None
