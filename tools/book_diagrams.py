"""A Sphinx extension that puts the diagrams of ``tools.diagrams`` into the pages themselves.

A page names a diagram as any image: ``![](../book/_static/diagrams/lstm.svg)``, or in a figure. On
the site the SVG takes the image's place, so that its text is found by search, its colours follow
the theme, and a screen reader finds its title and its description. Where the book is built in
another language, the labels are those of the catalogue ``diagrams``, whose template the gettext
builder writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from html import escape
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.diagrams.canvas import ID
from tools.diagrams.gallery import diagrams, variants
from tools.translation.catalogues import LOCALE, read_translations

FOLDER = PurePosixPath("book/_static/diagrams")
CATALOGUE = "diagrams"
TEMPLATE_HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'


def inline_diagrams(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Replace each image of a diagram on a page by the diagram.

    Parameters
    ----------
    app
        The running build; only pages in HTML are changed.
    doctree
        The page, changed in place.
    """
    if app.builder.format != "html" or app.builder.name == "epub":
        return
    seen: Counter[str] = Counter()
    for image in list(doctree.findall(nodes.image)):
        path = PurePosixPath(image["uri"])
        if path.parent != FOLDER or path.suffix != ".svg":
            continue
        seen[path.stem] += 1
        svg = inline_svg(
            diagram_text(app, path),
            name=path.stem,
            number=seen[path.stem],
            title=image.get("alt", ""),
            width=image.get("width", ""),
        )
        image.replace_self(nodes.raw("", svg, format="html"))


def diagram_text(app: Sphinx, path: PurePosixPath) -> str:
    """Return the SVG of a diagram in the language of the build.

    Parameters
    ----------
    app
        The running build.
    path
        The file of the diagram, from the folder of the book.

    Returns
    -------
    svg : str
        The file, or the diagram drawn again with translated labels.
    """
    translate = translation(app)
    if translate is None or path.stem not in variants():
        return (Path(app.srcdir) / path).read_text(encoding="utf-8")
    diagram, variant = variants()[path.stem]
    return diagram.svg(variant, translate=translate)


def translation(app: Sphinx) -> Callable[[str], str] | None:
    """Return what translates labels into the language of the build; None without a catalogue."""
    words = read_translations(CATALOGUE) if app.config.language == LOCALE else {}
    return (lambda text: words.get(text, text)) if words else None


def inline_svg(svg: str, *, name: str, number: int = 1, title: str = "", width: str = "") -> str:
    """Return a diagram for the page itself.

    Parameters
    ----------
    svg
        The content of its file.
    name
        The file's name without ending, which its ids contain.
    number
        1 for the first diagram of this name on a page: the ids of the others get a number.
    title
        The text alternative that the page gives, which takes the place of the title.
    width
        The greatest width, such as "20em"; that of the style sheet where empty.

    Returns
    -------
    svg : str
        The diagram with ids that occur once in the page.
    """
    if title:
        start, end = svg.index(">", svg.index("<title")) + 1, svg.index("</title>")
        svg = svg[:start] + escape(title) + svg[end:]
    if number > 1:
        for part in ("title", "desc"):
            svg = svg.replace(f"{ID}{name}-{part}", f"{ID}{name}-{number}-{part}")
    style = f'<svg style="max-width: {escape(width)}" ' if width else "<svg "
    return svg.replace("<svg ", style, 1)


def write_template(app: Sphinx, error: Exception | None) -> None:
    """Write the template of the catalogue beside those of the pages.

    Parameters
    ----------
    app
        The build that ends; only that of the translations' templates is meant.
    error
        What ended it early, if anything did: then nothing is written.
    """
    if error or app.builder.name != "gettext":
        return
    names: dict[str, list[str]] = {}  # of the diagrams in which a text stands
    for diagram in diagrams().values():
        for text in diagram.texts():
            names.setdefault(text, []).append(diagram.name)
    entries = [
        f"#. {', '.join(names[text])}\nmsgid {json.dumps(text, ensure_ascii=False)}\n"
        for text in names
    ]
    template = TEMPLATE_HEAD + "".join(f'\n{entry}msgstr ""\n' for entry in entries)
    (Path(app.outdir) / f"{CATALOGUE}.pot").write_text(template, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the replacement, the style sheet and the catalogue; Sphinx calls this."""
    app.connect("doctree-resolved", inline_diagrams)
    app.connect("build-finished", write_template)
    app.add_css_file("diagrams.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
