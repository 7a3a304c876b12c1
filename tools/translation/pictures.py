"""The words of pictures and of live boxes in Chinese, from the catalogue ``pictures``.

The map, the timeline and the contract are files of ``book/_static``, and the examples of the live
boxes are stored in the pages: their words are found in what is there, and replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import escape, unescape
from pathlib import Path

from tools.contents import ROOT
from tools.live.texts import TEXTS
from tools.translation.catalogues import translate

NAME = "pictures"
FOLDER = ROOT / "book" / "_static"
PICTURES = ("map", "timeline", "contract")
WORDS = re.compile(r"(<(?:text|title)[^>]*>|aria-label=\")([^<\"]+)(?=<|\")")
SECTION = re.compile(r"^([\d.]+) ")
NOT_TRANSLATED = re.compile(r"^[\W\d_]*$")


def picture_words() -> Iterator[str]:
    """Yield the words of the pictures and the texts of the boxes, each once."""
    texts = [
        SECTION.sub("", unescape(words))
        for name in PICTURES
        for _tag, words in WORDS.findall((FOLDER / f"{name}.svg").read_text(encoding="utf-8"))
    ]
    yield from dict.fromkeys(text for text in [*texts, *TEXTS] if not NOT_TRANSLATED.match(text))


def translate_picture(svg: str) -> str:
    """Return a picture with its words in the language of the build."""

    def replace(match: re.Match[str]) -> str:
        """Translate one text; the number of a section before it stays."""
        words = unescape(match[2])
        section = SECTION.match(words)
        start = section[0] if section else ""
        return f"{match[1]}{start}{escape(translate(words[len(start) :], NAME), quote=False)}"

    return WORDS.sub(replace, svg)


def translate_built_pictures(site: Path | str) -> None:
    """Translate the pictures that the pages of a site show as files."""
    for name in PICTURES:
        for path in Path(site).glob(f"_images/{name}.svg"):
            svg = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
            path.write_text(translate_picture(svg), encoding="utf-8")


def translate_box(html: str) -> str:
    """Return the example of a live box with its texts in the language of the build."""
    for text in sorted(TEXTS, key=len, reverse=True):  # of two that begin alike, the longer first
        chinese = translate(text, NAME)
        for start, end in ((">", "<"), ('aria-label="', '"')):
            fill = partial(_filled, f"{start}{chinese}{end}")
            html = _pattern(start, text, end).sub(fill, html)
    return html


def _filled(text: str, found: re.Match[str]) -> str:
    """Return a text with what was found in its places."""
    return text.format(*found.groups())


def _pattern(start: str, text: str, end: str) -> re.Pattern[str]:
    """Return what finds a text whose places ``{}`` are filled, between two marks."""
    parts = (re.escape(part) for part in text.split("{}"))
    return re.compile(re.escape(start) + "(.*?)".join(parts) + re.escape(end))
