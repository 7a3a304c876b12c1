"""A Sphinx extension that leaves out of every page what the book does not use.

Jupyter Book always loads Thebe's scripts (live code through a content delivery network), and loads
them twice, which is an error in the browser's console. Launching works by links alone.
"""

from __future__ import annotations


def drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Take Thebe's scripts and styles from the page's lists of files."""

    def wanted(file) -> bool:
        attributes = getattr(file, "attributes", {})
        return "thebe" not in f"{file} {attributes.get('body', '')}".lower()

    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if wanted(file)]


def setup(app) -> dict:
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
