"""The base of the directives whose content is Markdown made from the files of the book.

A `GeneratedDirective` writes Markdown when the site is built and lets MyST parse it, so that links
and formulas work as on every page; `link` and `table` write parts of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools.book_facts import read_cells, read_page
from tools.contents import ROOT, page_names, source_file
from tools.translation.catalogues import translate


def title_of(name: str) -> str:
    """Return the title of a page in the language of the build."""
    return translate(read_page(name).title, name)


def link(name: str, text: str) -> str:
    """Link from a page in ``book/`` to another page.

    Parameters
    ----------
    name
        The name of that page, as in ``_toc.yml``.
    text
        What the link shows.

    Returns
    -------
    link : str
        The link in Markdown.
    """
    return f"[{text}](../{source_file(name).relative_to(ROOT).as_posix()})"


def table(header: list[str], rows: Iterable[list[str]], *, align: str = "---:") -> list[str]:
    """Format a table in Markdown.

    Parameters
    ----------
    header
        The names of the columns.
    rows
        The cells of each row.
    align
        The alignment of the columns after the first; on the right, as numbers need it.

    Returns
    -------
    lines : list of str
        The heading, the alignment, and a line for each row.
    """
    lines = [header, ["---"] + [align] * (len(header) - 1), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


class GeneratedDirective(SphinxDirective):
    """A directive whose content is Markdown made from the files of the book."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def markdown(self) -> Iterator[str]:
        """Yield the lines of the content."""
        raise NotImplementedError

    def messages(self) -> list[str]:
        """Return the texts of the content that the catalogue of the page has, in Markdown."""
        return []

    def files(self) -> list[Path]:
        """Return the files that the content is made from; a change of one rebuilds it."""
        return [source_file(name) for name in page_names()]

    def run(self) -> list[nodes.Node]:
        """Parse the content; Sphinx calls this."""
        read_cells.cache_clear()  # a long-lived build sees files that have changed
        for path in [*self.files(), ROOT / "_toc.yml"]:
            self.env.note_dependency(str(path))
        self.env.note_reread()  # the list of files may grow
        container = nodes.Element()
        lines = StringList(self.lines(), self.env.doc2path(self.env.docname))
        self.state.nested_parse(lines, self.content_offset, container, match_titles=True)
        children: list[nodes.Node] = container.children
        return children

    def lines(self) -> list[str]:
        """Return the content; for the templates of the catalogues, its messages alone."""
        if self.env.app.builder.name == "gettext":
            return "\n\n".join(self.messages()).splitlines()
        return list(self.markdown())
