"""Sphinx directives of the first page: ``chapter-cards``, ``learning-path`` and ``editions``.

A picture whose nodes are links is put into the page itself, not shown as an image: only so do the
links work, and the keyboard and the dark theme reach its boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.book_facts import format_duration, read_page
from tools.contents import read_chapters
from tools.directives import GeneratedDirective, link, title_of
from tools.editions.download_links import link_editions
from tools.translation.catalogues import _, translate
from tools.translation.pictures import translate_picture

NUMBERED_PART = "Chapters"  # the caption of the numbered chapters in _toc.yml


def format_times(names: Sequence[str]) -> str:
    """Return how long pages take to read, and how long their notebooks last took to run."""
    pages = [read_page(name) for name in names]
    reading = format_duration(60 * sum(page.reading_minutes for page in pages))
    running = sum(page.running_seconds or 0 for page in pages)
    if not running:
        return _("{} to read").format(reading)
    return _("{} to read, {} to run").format(reading, format_duration(running))


class ChapterCards(GeneratedDirective):
    """One card for each numbered chapter: its sections, as links, and its times."""

    def markdown(self) -> Iterator[str]:
        """Yield a grid with a card for each chapter."""
        yield from ("::::{grid} 1 1 2 2", ":gutter: 3", "")
        for chapter in read_chapters():
            if chapter.part != NUMBERED_PART:
                continue
            yield from (f":::{{grid-item-card}} {link(chapter.name, title_of(chapter.name))}", "")
            yield from (f"- {link(name, title_of(name))}" for name in chapter.sections)
            yield from ("", f"*{format_times([chapter.name, *chapter.sections])}*", ":::")
        yield "::::"


class LearningPath(GeneratedDirective):
    """A numbered list of pages, with links and the sum of their times.

    The argument is its title. Each line of the content is the name of a page as in ``_toc.yml``,
    with an optional note after a colon.
    """

    required_arguments = 1
    optional_arguments = 0

    def markdown(self) -> Iterator[str]:
        """Yield the title with the times, then the list."""
        steps = self.steps()
        times, title = format_times(list(steps)), self.translate(self.arguments[0])
        yield from (_("**{}** ({})").format(title, times), "")
        for name, note in steps.items():
            text = link(name, title_of(name))
            yield "1. " + (_("{}: {}").format(text, self.translate(note)) if note else text)

    def messages(self) -> list[str]:
        """Return the title and the notes."""
        return [self.arguments[0], *filter(None, self.steps().values())]

    def steps(self) -> dict[str, str]:
        """Return the note of each page, which may be empty."""
        steps = [line.partition(": ") for line in self.content if line.strip()]
        return {name: note for name, _colon, note in steps}

    def translate(self, text: str) -> str:
        """Return a text of the content in the language of the build."""
        return translate(text, self.env.docname)


class Editions(GeneratedDirective):
    """A paragraph for each edition of the book, which becomes a link where the edition is made.

    Each line of the content is the kind of an edition, a colon, and what the link says.
    """

    optional_arguments = 0

    def markdown(self) -> Iterator[str]:
        """Yield a paragraph for each line."""
        for line in self.content:
            yield from (line.partition(": ")[2], "")

    def messages(self) -> list[str]:
        """Return what the links say."""
        return [line.partition(": ")[2] for line in self.content]

    def run(self) -> list[nodes.Node]:
        """Parse the content, and mark each paragraph by its edition; Sphinx calls this."""
        paragraphs = super().run()
        for line, paragraph in zip(self.content, paragraphs, strict=True):
            kind = line.partition(": ")[0]
            if isinstance(paragraph, nodes.Element):
                paragraph["classes"] += ["edition", f"edition-{kind}"]
        return paragraphs


def inline_pictures(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Replace each image of an SVG with links by the SVG itself, with its text alternative.

    Parameters
    ----------
    app
        The running build; only pages in HTML are changed.
    doctree
        The page, changed in place.
    """
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir) / image["uri"]
        if path.suffix != ".svg":
            continue
        svg = path.read_text(encoding="utf-8")
        if "<a " in svg:
            inline = with_description(
                translate_picture(svg),
                name=path.stem,
                description=image["alt"],
                label=_("map") if path.stem == "map" else path.stem,
            )
            image.replace_self(nodes.raw("", inline, format="html"))


def with_description(svg: str, *, name: str, description: str, label: str) -> str:
    """Return an SVG for the page itself: a group of links with a label and a description.

    Parameters
    ----------
    svg
        The picture as ``tools.figures`` wrote it.
    name
        The beginning of the description's id.
    description
        The text alternative.
    label
        What it is called.

    Returns
    -------
    svg : str
        The picture with its new attributes and the element ``desc``.
    """
    words = nodes.make_id(name) + "-words"
    replacements = [
        ('role="img"', 'role="group" class="linked-picture"'),
        ("</title>", f'</title><desc id="{words}">{description}</desc>'),
        ("<svg ", f'<svg aria-label="{label}" aria-describedby="{words}" '),
    ]
    for old, new in replacements:
        svg = svg.replace(old, new, 1)
    return svg


def offer_built_editions(app: Sphinx, error: Exception | None) -> None:
    """Link to the editions that lie beside the site that was built."""
    if error is None and app.builder.format == "html":
        link_editions(Path(app.outdir), language=app.config.language)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives and the replacement of pictures; Sphinx calls this."""
    app.add_directive("chapter-cards", ChapterCards)
    app.add_directive("learning-path", LearningPath)
    app.add_directive("editions", Editions)
    app.connect("doctree-resolved", inline_pictures)
    app.connect("build-finished", offer_built_editions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
