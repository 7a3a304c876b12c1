"""What a reader of the Chinese edition sees, compared with the English page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from tools.translation.terms import HAS_CHINESE

BLOCKS = "p, li, dt, dd, th, td, h1, h2, h3, h4, figcaption, caption"
NOT_TEXT = ".math, code, pre, script, style, svg, .cell_output, .cell_input, .live-box, .headerlink"
# names, and what code made: results, evidence, references
ENGLISH = (
    "section#references, .citation, .output, table, .equation-links, .claim-evidence, "
    ".page-facts, [lang=en]"
)
MARKUP = re.compile(r"\*\*|`|\{(?:term|eq|ref|numref|cite)\b|\]\(|\$")
WORDS = re.compile(r"[A-Za-z]{2,}")
MAX_WORDS = 6  # of a paragraph without Chinese: a name, a title


def read_article(path: Path) -> Tag:
    """Return the content of a page."""
    article = BeautifulSoup(path.read_text(encoding="utf-8"), "lxml").find("article")
    assert isinstance(article, Tag), f"{path} has no article"
    return article


def text_faults(article: Tag) -> Iterator[str]:
    """Yield what is wrong with the text of a page in Chinese: stray markup, English paragraphs.

    Parameters
    ----------
    article
        The content of the page, which is left without formulas, code and outputs.

    Yields
    ------
    fault : str
        What it is, and the beginning of the paragraph.
    """
    names = [*article.select(ENGLISH)]
    for part in article.select(NOT_TEXT):
        part.replace_with("…")
    for block in article.select(BLOCKS):
        if block.select(BLOCKS):
            continue
        text = " ".join(block.get_text().split())
        if MARKUP.search(text):
            yield f"stray markup: {text[:80]}"
        is_name = any(name is block or name in block.parents for name in names)
        english = WORDS.findall(text)
        if not is_name and not HAS_CHINESE.search(text) and len(english) > MAX_WORDS:
            yield f"in English: {text[:80]}"


def frame_faults(english: Tag, chinese: Tag) -> Iterator[str]:
    """Yield in what a page differs from its original although it must not.

    Parameters
    ----------
    english, chinese
        The contents of the two pages.

    Yields
    ------
    fault : str
        What differs: anchors, formulas, code, outputs or pictures.
    """
    for name, selector, value in (
        ("anchors", "[id]", lambda part: part["id"]),
        ("formulas", ".math", lambda part: part.get_text().strip()),
        ("code and outputs", "pre", lambda part: part.get_text().strip()),
        ("pictures", "img", lambda part: Path(part["src"]).name),
        ("targets of links", "a.internal[href]", lambda part: part["href"]),
    ):
        before, after = (sorted(map(value, page.select(selector))) for page in (english, chinese))
        if before != after:
            changed = sorted(set(before) ^ set(after)) or ["their number"]
            yield f"{name}: {', '.join(text[:60] for text in changed[:3])}"
