"""A Sphinx extension: each page leads to the same page in the other language.

The switch stands in the header, as text that the other language's readers know, and the head of
the page names both for search engines. There is none where the site is built in one language.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.typing import ExtensionMetadata

from tools.translation.catalogues import LOCALE

VARIABLE = "LLM_BOOK_LANGUAGES"  # "en zh": the Makefile sets it
TEMPLATE = "language-switch.html"


class Edition(NamedTuple):
    """The site in one language.

    Parameters
    ----------
    language
        As HTML names it.
    name
        As its readers name it.
    folder
        Where it lies in the site, with a slash at the end.
    """

    language: str
    name: str
    folder: str


ENGLISH, CHINESE = Edition("en", "English", ""), Edition("zh-CN", "中文", "zh/")


def languages() -> list[str]:
    """Return the languages in which the site is built."""
    return os.environ.get(VARIABLE, "en").split()


def address(page: str, own: Edition, other: Edition) -> str:
    """Return the address of a page in an edition, from the same page in another.

    Parameters
    ----------
    page
        Its name, such as "book/index".
    own, other
        The edition that the address stands in, and the one to which it leads.

    Returns
    -------
    address : str
        A relative one, which holds below any path and in the file system.
    """
    up = "../" * (page.count("/") + own.folder.count("/"))
    return f"{up}{other.folder}{page}.html"


def add_switch(
    app: Sphinx,
    pagename: str,
    _templatename: str,
    context: dict[str, Any],
    _doctree: nodes.document | None,
) -> None:
    """Give a page the address of its other language.

    Parameters
    ----------
    app
        The running build, which writes this page.
    pagename
        The name of the page.
    context
        What its template is filled with.
    """
    if len(app.config.book_languages) < 2:
        return
    own, other = ENGLISH, CHINESE
    if app.config.language == LOCALE:
        own, other = other, own
    context["other_language"] = {
        "address": address(pagename, own, other),
        "language": other.language,
        "name": other.name,
    }
    links = (
        f'<link rel="alternate" hreflang="{edition.language}" '
        f'href="{address(pagename, own, edition)}"/>'
        for edition in (ENGLISH, CHINESE)
    )
    context["metatags"] = "\n".join([context.get("metatags", ""), *links])


def place_switch(_app: Sphinx, config: Config) -> None:
    """Put the switch before the buttons of the header."""
    config.templates_path = [*config.templates_path, str(Path(__file__).parent / "templates")]
    config.html_theme_options["article_header_end"] = [TEMPLATE, "article-header-buttons.html"]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the switch; Sphinx calls this."""
    app.add_config_value("book_languages", languages(), "html", list)
    app.connect("config-inited", place_switch)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
