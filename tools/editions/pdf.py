"""The PDF: one document with cover, contents, running heads and page numbers, printed by Chromium.

Chromium cannot write the page of a heading into the contents. So it prints again: the destinations
of a print tell the pages, until these do not move when their numbers are filled in.
"""

from __future__ import annotations

import html
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pikepdf

from tools.editions.articles import Part, make_parts
from tools.editions.built_site import BuiltSite, EditionError
from tools.editions.chromium import opened
from tools.editions.headings import Heading, read_headings
from tools.editions.imprint import Imprint, require_chinese_font

STYLE = Path(__file__).with_name("pdf.css")
STYLES = ("pygments.css", "diagrams.css")
MATHJAX = {
    "options": {
        "processHtmlClass": "math",
        "ignoreHtmlClass": "book",
        "enableMenu": False,
        "menuOptions": {"settings": {"assistiveMml": False}},
    },
}
WIDTH = 665  # of the text, in CSS pixels, of which an inch has 96
# A place keeps the width of its longest number: otherwise a line at the foot of a page could move
# to and fro for ever.
FILL = """([pages, digits]) => {
    for (const place of document.querySelectorAll('.page-of')) {
        place.style.setProperty('--digits', digits[place.dataset.target] ?? 0);
        place.textContent = pages[place.dataset.target] ?? '';
    }
}"""
MAX_PRINTS = 4  # a number may push a line onto the next page
FIT = Path(__file__).with_name("fit.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Bookmark:
    """An entry of an outline.

    Parameters
    ----------
    level
        How deep it is: 1 for chapters.
    text
        What it says.
    page
        The page to which it leads, counted from 1.
    """

    level: int
    text: str
    page: int


def write_pdf(site: BuiltSite, path: Path, imprint: Imprint) -> None:
    """Write the book as a PDF.

    Parameters
    ----------
    site
        The built site, whose articles are changed.
    path
        The file to write.
    imprint
        Title, authors, licence, commit and date.

    Raises
    ------
    EditionError
        If Chromium or a Chinese font is missing, or the pages do not come to rest.
    """
    require_chinese_font()
    parts = make_parts(site)
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "book.html"
        document.write_text(make_document(site, parts, imprint), encoding="utf-8")
        printed = Path(folder) / "book.pdf"
        pages, digits = dict[str, int](), dict[str, int]()
        for _ in range(MAX_PRINTS):
            print_document(document, printed, pages=pages, digits=digits)
            before, pages = pages, find_pages(printed)
            moved = [name for name, number in pages.items() if before.get(name) != number]
            if not moved:
                break
            digits = {name: max(len(str(n)), digits.get(name, 0)) for name, n in pages.items()}
        else:
            raise EditionError(
                f"{len(moved)} places moved when the numbers of their pages were written "
                f"into the text, the first: {moved[0]}"
            )
        finish(printed, path, imprint, list(read_headings(parts)))


def make_document(site: BuiltSite, parts: list[Part], imprint: Imprint) -> str:
    """Return the whole book as one page in HTML.

    Parameters
    ----------
    site
        The built site, whose styles and formulas it uses.
    parts
        The pages and the solutions.
    imprint
        What the cover says.

    Returns
    -------
    document : str
        Cover, contents and parts; the page of each part has its running heads.
    """
    static = (site.folder / "_static").as_uri()
    contents = "".join(make_contents(parts, site.words["contents"]))
    heads = "".join(running_heads(parts))
    articles = "".join(str(part.article) for part in parts)
    styles = "".join(f'<link rel="stylesheet" href="{static}/{name}">' for name in STYLES)
    return f"""<!DOCTYPE html>
<html lang="{site.language}" data-theme="light"><head><meta charset="utf-8">
<title>{html.escape(imprint.title)}</title>
{styles}<style>{STYLE.read_text(encoding="utf-8")}{heads}</style>
<script>window.MathJax = {json.dumps(MATHJAX)}</script>
<script defer src="{static}/mathjax/tex-chtml.js"></script>
</head><body class="book">{make_cover(site, imprint)}{contents}{articles}</body></html>"""


def make_cover(site: BuiltSite, imprint: Imprint) -> str:
    """Return the cover: title, authors, picture, licence, commit and date."""
    made = site.words["made"].format(date=imprint.date, commit=imprint.commit)
    logo = (site.folder / "_static" / "logo.svg").as_uri()
    facts = "<br>".join(html.escape(line) for line in (imprint.rights, made, imprint.address))
    return f"""<section class="cover"><div class="title">{html.escape(imprint.title)}</div>
<div class="author">{html.escape(imprint.author)}</div><img src="{logo}" alt="">
<p class="facts">{facts}</p></section>"""


def make_contents(parts: list[Part], title: str) -> Iterator[str]:
    """Yield the contents: each heading as a link, with a place for its page."""
    yield f'<nav class="contents"><p class="heading">{title}</p><ol>'
    for heading in read_headings(parts):
        classes = f"level-{heading.level}" + " title" * heading.is_title
        yield (
            f'<li class="{classes}"><a href="#{heading.key}">{heading.content}</a>'
            f'<span class="page-of" data-target="{heading.key}"></span></li>'
        )
    yield "</ol></nav>"


def running_heads(parts: list[Part]) -> Iterator[str]:
    """Yield the style of each part, whose pages bear its chapter and its title at their heads."""
    font = 'font: 8.5pt "Liberation Sans", Arial, sans-serif; color: #444'
    for number, part in enumerate(parts):
        right = part.title if part.title != part.chapter else ""
        yield (
            f"@page part{number} {{ @top-left {{ content: {css_text(part.chapter)}; {font} }} "
            f"@top-right {{ content: {css_text(right)}; {font} }} }}\n"
            f"[id='{part.key}'] {{ page: part{number} }}\n"
        )


def css_text(text: str) -> str:
    """Return a text as CSS writes it."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


def print_document(
    document: Path, path: Path, *, pages: dict[str, int], digits: dict[str, int]
) -> None:
    """Print a document as a PDF, with an outline and with tags for screen readers.

    Each print has a browser of its own: the second of some hundred pages in one browser may wait
    for ever (seen in Chromium 156).

    Parameters
    ----------
    document
        The book in HTML.
    path
        The PDF to write.
    pages, digits
        The numbers to write where the document names the page of a destination, and how many
        digits wide to leave each place.

    Raises
    ------
    EditionError
        If there is no Chromium, a formula cannot be set, or a part is wider than the page.
    """
    with opened(document) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": WIDTH, "height": 1000})
        page.evaluate(FILL, [pages, digits])
        if faults := page.evaluate(FIT, WIDTH):
            raise EditionError(f"{len(faults)} parts do not fit the page, first {faults[0]!r}")
        page.pdf(
            path=path, prefer_css_page_size=True, print_background=True, tagged=True, outline=True
        )


def find_pages(path: Path) -> dict[str, int]:
    """Return the page of each destination of a PDF, counted from 1."""
    with pikepdf.open(path) as pdf:
        numbers = _page_numbers(pdf)
        targets = pdf.Root.get("/Dests", {}).items()
        return {name.removeprefix("/"): numbers[target[0].objgen] for name, target in targets}


def _page_numbers(pdf: pikepdf.Pdf) -> dict[tuple[int, int], int]:
    """Return the number of each page, counted from 1, by its object."""
    return {page.obj.objgen: number for number, page in enumerate(pdf.pages, start=1)}


def read_outline(path: Path) -> list[Bookmark]:
    """Return the outline of a PDF, in order."""
    with pikepdf.open(path) as pdf:
        numbers = _page_numbers(pdf)
        return [
            Bookmark(level, str(entry.Title), numbers[entry.Dest[0].objgen])
            for level, entry in _outline_entries(pdf.Root.Outlines, 1)
        ]


def _outline_entries(parent: pikepdf.Object, level: int) -> Iterator[tuple[int, pikepdf.Object]]:
    """Yield the entries below one of an outline with their level, depth first."""
    entry = parent.get("/First")
    while entry is not None:
        yield level, entry
        yield from _outline_entries(entry, level + 1)
        entry = entry.get("/Next")


def finish(printed: Path, path: Path, imprint: Imprint, headings: list[Heading]) -> None:
    """Write metadata and the exact texts of the outline into a printed PDF.

    Parameters
    ----------
    printed, path
        The PDF as Chromium wrote it, and the file to write.
    imprint
        Title, authors, licence, commit and date.
    headings
        The headings of the book, in order: where a heading breaks into lines, Chromium's outline
        loses a space.

    Raises
    ------
    EditionError
        If the outline has another number of entries.
    """
    with pikepdf.open(printed) as pdf:
        entries = [entry for _, entry in _outline_entries(pdf.Root.Outlines, 1)]
        if len(entries) != len(headings):
            raise EditionError(f"the outline has {len(entries)} entries, the book {len(headings)}")
        for entry, heading in zip(entries, headings, strict=True):
            entry.Title = heading.text
        with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
            metadata["dc:title"] = imprint.title
            metadata["dc:creator"] = [imprint.author]
            metadata["dc:description"] = imprint.rights  # the subject
            metadata["dc:source"] = imprint.address
            metadata["pdf:Keywords"] = f"commit {imprint.commit}, {imprint.date}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pdf.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate)
