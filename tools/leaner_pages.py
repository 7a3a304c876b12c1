"""A Sphinx extension that mends on every page what the theme gets wrong.

Jupyter Book always loads Thebe's scripts (live code through a content delivery network), and loads
them twice, which is an error in the browser's console. Launching works by links alone.
The icons come twice as well, as fonts and as a script of half a megabyte; the fonts are enough,
and asked for in advance they fail in a page opened from the file system.
A corner of a table that holds nothing is no heading, and an entry of a list is a listitem.
The sidebar is no landmark, and its folds have no name: a screen reader would pass them by.
"""

from __future__ import annotations

import re
from pathlib import Path

SIDEBAR = re.compile(r'<div(?! role)([^>]* class="bd-sidebar-primary bd-sidebar")')
FOLD = re.compile(
    r'(<a class="[^"]*reference internal" href="[^"]*">([^<]*)</a><details[^>]*>)<summary>'
)
ICONS = re.compile(
    r"\s*<script[^>]*fontawesome[^>]*></script>"
    r'|\s*<link rel="preload"[^>]*fontawesome[^>]*>'
)


def drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Take Thebe's scripts and styles from the page's lists of files."""

    def wanted(file) -> bool:
        attributes = getattr(file, "attributes", {})
        return "thebe" not in f"{file} {attributes.get('body', '')}".lower()

    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if wanted(file)]


def lazy_figures(app, pagename, templatename, context, doctree) -> None:
    """Figures load when the reader comes near them."""
    if "body" in context:
        context["body"] = context["body"].replace("<img ", '<img loading="lazy" ')


def mended(html: str) -> str:
    """A page with one kind of icons, honest roles, a sidebar that is a landmark, named folds."""
    html = ICONS.sub("", html)
    html = html.replace('<th class="head"><p></p></th>', '<td class="head"></td>')
    html = html.replace('role="doc-biblioentry"', 'role="listitem"')  # within role="list"
    html = SIDEBAR.sub(r'<div role="complementary" aria-label="The book"\1', html)
    return FOLD.sub(r'\1<summary aria-label="Sections of \2">', html)


def mend(app, error) -> None:
    """Mend the pages as they were written; their templates lie in the theme's packages."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        if (better := mended(html)) != html:
            path.write_text(better, encoding="utf-8")


def setup(app) -> dict:
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", lazy_figures)
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
