"""A Sphinx extension that corrects what the theme writes on every page.

- Jupyter Book always loads Thebe's scripts (live code through a content delivery network), and
  loads them twice, which is an error in the browser's console. Launching works by links alone.
- Icons come as fonts and as a script of half a megabyte. The fonts suffice; preloading them fails
  in a page that is opened from the file system.
- An empty corner of a table is not a heading, and an entry of a list has the role of a list item.
- The sidebar is not a landmark and its folds have no name, so that a screen reader would skip them.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.translation.catalogues import SHARED, _, translate
from tools.translation.site import own_pages

SIDEBAR = re.compile(r'<div(?! role)([^>]* class="bd-sidebar-primary bd-sidebar")')
FOLD = re.compile(
    r'(<a class="[^"]*reference internal" href="[^"]*">([^<]*)</a><details[^>]*>)<summary>'
)
ICONS = re.compile(
    r"\s*<script[^>]*fontawesome[^>]*></script>"
    r'|\s*<link rel="preload"[^>]*fontawesome[^>]*>'
)


# What the theme's own catalogues lack; a launch button's name ends with that of the place.
WORDS = (
    "Search this book...",
    "Main",
    "Page",
    "Toggle primary sidebar",
    "Toggle secondary sidebar",
    "Launch interactive content",
    "Launch on Binder",
    "Launch on Colab",
    "Source repositories",
    "Color mode",
    "System Settings",
    "Repository",
    "Open issue",
)
WORDS_HTML = re.compile(
    r'((?:aria-label|title|placeholder|data-bs-title)="|class="btn__text-container">)'
    rf'({"|".join(map(re.escape, WORDS))})(?=["<])'
)


def drop_thebe(
    _app: Sphinx,
    _pagename: str,
    _templatename: str,
    context: dict[str, Any],
    _doctree: nodes.document | None,
) -> None:
    """Remove Thebe's scripts and styles from the files that a page loads."""

    def is_thebe(file: object) -> bool:
        attributes = getattr(file, "attributes", {})
        return "thebe" in f"{file} {attributes.get('body', '')}".lower()

    for files in ("script_files", "css_files"):
        context[files] = [file for file in context.get(files, []) if not is_thebe(file)]


def load_figures_lazily(
    _app: Sphinx,
    _pagename: str,
    _templatename: str,
    context: dict[str, Any],
    _doctree: nodes.document | None,
) -> None:
    """Let the browser load a figure when the reader comes near it."""
    if "body" in context:
        context["body"] = context["body"].replace("<img ", '<img loading="lazy" ')


def fix_page(html: str) -> str:
    """Return a page with one set of icons, correct roles, a landmark and named folds."""
    html = ICONS.sub("", html)
    html = html.replace('<th class="head"><p></p></th>', '<td class="head"></td>')
    html = html.replace('role="doc-biblioentry"', 'role="listitem"')  # within role="list"
    html = WORDS_HTML.sub(lambda found: found[1] + translate(found[2], SHARED), html)
    html = SIDEBAR.sub(rf'<div role="complementary" aria-label="{_name_sidebar()}"\1', html)
    return FOLD.sub(_name_fold, html)


def _name_sidebar() -> str:
    """Return the name of the sidebar for screen readers."""
    return _("The book")


def _name_fold(fold: re.Match[str]) -> str:
    """Return a chapter of the sidebar with a name for the fold of its sections."""
    name = _("Sections of {}").format(fold[2])
    return f'{fold[1]}<summary aria-label="{name}">'


def fix_pages(app: Sphinx, error: Exception | None) -> None:
    """Correct the pages as they were written; their templates belong to the theme's packages.

    Parameters
    ----------
    app
        The build that ends.
    error
        What ended it early, if anything did: then nothing is corrected.
    """
    if error or app.builder.format != "html":
        return
    for path in own_pages(app.outdir):
        html = path.read_text(encoding="utf-8")
        fixed = fix_page(html)
        if fixed != html:
            path.write_text(fixed, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the corrections; Sphinx calls this."""
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", load_figures_lazily)
    app.connect("build-finished", fix_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
