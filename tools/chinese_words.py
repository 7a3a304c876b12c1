"""A Sphinx extension that marks Chinese words as Chinese, for screen readers and fonts.

A page in English has Chinese terms in its text, its glossary, its code and its outputs; each run of
Chinese characters becomes ``<span lang="zh-Hans">`` (WCAG 2.2, 3.1.2 "Language of Parts").
Formulas and pictures stay as they are.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.translation.site import own_pages

CHARACTER = r"[\u3400-\u9fff\uf900-\ufaff]"
BETWEEN = r"[\u3000-\u303f\uff00-\uffef·、 -]"  # punctuation within a run of words
WORDS = re.compile(rf"{CHARACTER}(?:(?:{CHARACTER}|{BETWEEN})*{CHARACTER})?")
MARK = re.compile(r'<span lang="zh-Han[st]">([^<]*)</span>')
NOT_TEXT = re.compile(
    r'<span lang="zh-Han[st]">[^<]*</span>'  # marked already
    r"|<!--.*?-->"
    r"|<(?P<opaque>script|style|title|textarea|svg)\b.*?</(?P=opaque)>"
    r'|<(?P<math>span|div) class="math .*?</(?P=math)>'
    r"""|<(?:"[^"]*"|'[^']*'|[^'">])*>""",  # any other tag
    re.DOTALL,
)


def mark_chinese(html: str) -> str:
    """Return a page, or a part of one, with the language of its Chinese words."""
    parts, end = [], 0
    for match in NOT_TEXT.finditer(html):
        parts += [WORDS.sub(_marked, html[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, WORDS.sub(_marked, html[end:])])


def _marked(match: re.Match[str]) -> str:
    """Return words with their language; what GB 2312 lacks is in traditional characters."""
    try:
        match[0].encode("gb2312")
    except UnicodeEncodeError:
        return f'<span lang="zh-Hant">{match[0]}</span>'
    return f'<span lang="zh-Hans">{match[0]}</span>'


def without_marks(html: str) -> str:
    """Return a page as it was before `mark_chinese`."""
    return MARK.sub(r"\1", html)


def mark_pages(app: Sphinx, error: Exception | None) -> None:
    """Mark the Chinese words of every page, when the site is complete.

    Parameters
    ----------
    app
        The build that ends; a site in Chinese needs no marks.
    error
        What ended it early, if anything did: then nothing is marked.
    """
    if error or app.builder.format != "html" or app.config.language.startswith("zh"):
        return
    for path in own_pages(app.outdir):
        html = path.read_text(encoding="utf-8")
        marked = mark_chinese(html)
        if marked != html:
            path.write_text(marked, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the marks, which come after the previews; Sphinx calls this."""
    app.connect("build-finished", mark_pages, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
