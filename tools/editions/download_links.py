"""The links to the editions on the first page: only to those that lie beside the site.

The directive ``editions`` of `tools.first_page` writes a paragraph for each edition. It is hidden
until the edition is made, so that no link leads nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "editions"  # of the site
NAME = "llm-foundations-book"
FIRST_PAGE = "book/index.html"
PARAGRAPH = re.compile(
    r'<p class="edition edition-(\w+)"[^>]*>(?:<a [^>]*>)?(.*?)(?:</a> \([^)]*\))?</p>', re.DOTALL
)


def edition_path(site: Path, kind: str, *, language: str) -> Path:
    """Return where an edition of a site lies.

    Parameters
    ----------
    site
        The folder of the built site.
    kind
        "pdf" or "epub".
    language
        The language of the site, such as "en" or "zh-CN". The name of the file ends with it unless
        it is English, for a reader who downloads both.

    Returns
    -------
    path : Path
        The file of the edition, which may not be made yet.
    """
    code = language[:2]
    name = NAME if code == "en" else f"{NAME}-{code}"
    return site / FOLDER / f"{name}.{kind}"


def link_editions(site: Path, *, language: str) -> None:
    """Link the first page of a site to the editions that are there, and hide the others.

    Parameters
    ----------
    site
        The built site, whose first page is changed.
    language
        Its language, as for `edition_path`.
    """

    def offer(paragraph: re.Match[str]) -> str:
        kind, text = paragraph.groups()
        path = edition_path(site, kind, language=language)
        opening = f'<p class="edition edition-{kind}"'
        if not path.is_file():
            return f"{opening} hidden>{text}</p>"
        link = f'<a href="../{path.relative_to(site).as_posix()}">{text}</a>'
        return f"{opening}>{link} ({path.stat().st_size / 1e6:.0f} MB)</p>"

    page = site / FIRST_PAGE
    if page.is_file():
        page.write_text(PARAGRAPH.sub(offer, page.read_text(encoding="utf-8")), encoding="utf-8")
