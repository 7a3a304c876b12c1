"""Sphinx directives of the cover page: the chapters as cards, and learning paths with their times.

A map whose nodes are links stands in the page itself, not as an image: only so do links, the
keyboard and the dark theme reach its boxes.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes

from tools import book_facts as facts
from tools.book_site import Generated, link


def times(names: list[str]) -> str:
    """How long pages take to read, and how long their notebooks took when they were last run."""
    pages = [facts.page(name) for name in names]
    reading = facts.duration(60 * sum(page.reading_minutes for page in pages))
    running = sum(page.running_seconds or 0 for page in pages)
    return f"{reading} to read" + (f", {facts.duration(running)} to run" if running else "")


class ChapterCards(Generated):
    """One card for each numbered chapter: its sections, as links, and its times."""

    def markdown(self):
        yield from ("::::{grid} 1 1 2 2", ":gutter: 3", "")
        for chapter in facts.contents():
            if chapter["part"] != "Chapters":
                continue
            names = [chapter["file"], *chapter["sections"]]
            head, below = facts.page(names[0]), names[1:]
            yield from (f":::{{grid-item-card}} {link(names[0], head.title)}", "")
            yield from (f"- {link(name, facts.page(name).title)}" for name in below)
            yield from ("", f"*{times(names)}*", ":::")
        yield "::::"


class LearningPath(Generated):
    """A list of pages in order, with links and the sum of their times; the argument is its title.

    Content: one page's name a line, as in _toc.yml, each with an optional note after a colon.
    """

    required_arguments, optional_arguments = 1, 0

    def markdown(self):
        steps = [line.partition(": ") for line in self.content if line.strip()]
        yield from (f"**{self.arguments[0]}** ({times([name for name, _, _ in steps])})", "")
        for name, _, note in steps:
            yield f"1. {link(name, facts.page(name).title)}" + (f": {note}" if note else "")


def inline_pictures(app, doctree, docname) -> None:
    """Put an SVG that holds links into the page itself, with its text alternative."""
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir) / image["uri"]
        if path.suffix != ".svg" or "<a " not in (text := path.read_text(encoding="utf-8")):
            continue
        text = text.replace('role="img"', 'role="group" class="linked-picture"', 1)
        label = nodes.make_id(path.stem) + "-words"
        text = text.replace("</title>", f'</title><desc id="{label}">{image["alt"]}</desc>', 1)
        text = text.replace(
            "<svg ", f'<svg aria-label="{path.stem}" aria-describedby="{label}" ', 1
        )
        image.replace_self(nodes.raw("", text, format="html"))


def setup(app) -> dict:
    app.add_directive("chapter-cards", ChapterCards)
    app.add_directive("learning-path", LearningPath)
    app.connect("doctree-resolved", inline_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
