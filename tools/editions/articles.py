"""The pages of the site as parts of one book.

An id is unique on its page only: in the book it begins with the name of the page, and links follow
it. What needs a browser goes: links to a heading itself, badges that start a notebook, folds.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import Tag

from tools.editions.built_site import BuiltPage, BuiltSite, heading_text
from tools.editions.page_links import link_with_page
from tools.editions.solutions import HEADINGS, Solution, take_solutions

# What has no use outside the site.
SITE_ONLY = "a.headerlink, script, style, button, summary, p.edition, div.toctree-wrapper, input"
LISTS = {f"book/{name}" for name in "results claims errata glossary library references".split()}
BIBLIOGRAPHY = "book/references"
SITE_ATTRIBUTES = {
    "img": ["loading"],
    "[aria-controls], [tabindex]": ["aria-controls", "tabindex"],
    "[for]": ["for"],
    "svg[role=group]": ["role"],
}
HEIGHT = re.compile(r"\bheight:[^;]*;?")
REPEATED_LINES = 20  # a cell of so many lines is printed once
BADGES = ", ".join(
    f'img[src$="{name}"], a[href^="https://{site}/"] > img'
    for name, site in [("colab.svg", "colab.research.google.com"), ("binder.svg", "mybinder.org")]
)


@dataclass(frozen=True)
class Part:
    """A page of the book, or the solutions of a chapter.

    Parameters
    ----------
    key
        The id of its element.
    title
        The text of its heading.
    chapter
        The title of the chapter that it belongs to.
    article
        Its element, ready for the book.
    """

    key: str
    title: str
    chapter: str
    article: Tag


def make_parts(site: BuiltSite) -> list[Part]:
    """Make the parts of the book: its pages, and after each chapter its solutions.

    Parameters
    ----------
    site
        The built site, whose articles are changed.

    Returns
    -------
    parts : list of Part
        In the order of the book. Headings are one level deeper for each level of the contents.
    """
    keys = {f"{page.name}.html": page.key for page in site.pages}
    parts: list[Part] = []
    first_cells: dict[str, str] = {}
    for pages in site.chapters:
        chapter, solved = pages[0].title, []
        for page in pages:
            clean(page, site.words)
            number_ids(page, keys, site.folder)
            shorten_repeated_code(page, first_cells, site.words)
            solutions = take_solutions(page, site.words)
            solved += [(page, solutions)] if solutions else []
            title = page.title
            deepen(page.article, page.depth)
            page.article["id"] = page.key
            page.article["class"] = f"depth-{page.depth}" + " is-list" * (page.name in LISTS)
            parts.append(Part(page.key, title, chapter, page.article))
        if solved:
            parts.append(solutions_part(pages[0].key, chapter, solved, site.words))
    return parts


def clean(page: BuiltPage, words: dict[str, str]) -> None:
    """Remove from a page what only the site can do; an answer keeps its fold until it is taken.

    Its list of references goes as well: the bibliography of the book has them all.

    Parameters
    ----------
    page
        A page of the site, whose article is changed.
    words
        What the edition says in its own words.
    """
    article = page.article
    if page.name != BIBLIOGRAPHY:
        for section in article.select("section#references"):
            section.decompose()
    for badge in article.select(BADGES):
        (badge.find_parent("p") or badge).decompose()
    for sound in article.find_all("audio"):
        sound.replace_with(_element("p", words["sound"], **{"class": "sound"}))
    for details in article.select("details.above-input"):
        details.unwrap()
    for element in article.select(SITE_ONLY):
        if element.name != "summary" or element.find_parent("details") is None:
            element.decompose()
    for label in article.select("div.sd-tab-set > label"):
        label.name = "p"
    clean_attributes(article)


def clean_attributes(article: Tag) -> None:
    """Remove the attributes that hold on the site only, and the heights of pictures.

    A picture that is set narrower keeps its shape.
    """
    for selector, attributes in SITE_ATTRIBUTES.items():
        for element in article.select(selector):
            for attribute in attributes:
                del element[attribute]
    for image in article.select("img[style]"):
        image["style"] = HEIGHT.sub("", str(image["style"]))


def shorten_repeated_code(
    page: BuiltPage, first_cells: dict[str, str], words: dict[str, str]
) -> None:
    """Replace a long cell of code that the book has shown before by a link to it.

    Parameters
    ----------
    page
        A page of the site, whose article is changed.
    first_cells
        The id of the first cell with a text, by the text; new cells are added.
    words
        What the edition says in its own words.
    """
    for number, cell in enumerate(page.article.select("div.cell_input")):
        code = cell.get_text().strip()
        if code.count("\n") < REPEATED_LINES:
            continue
        if code in first_cells:
            cell.replace_with(link_with_page(first_cells[code], words["repeated"], words))
        else:
            cell["id"] = first_cells[code] = f"{page.key}--code-{number}"


def number_ids(page: BuiltPage, keys: dict[str, str], folder: Path) -> None:
    """Begin the ids of a page with its key, and let links and images lead to where things are.

    Parameters
    ----------
    page
        A page of the site, whose article is changed.
    keys
        The key of each page by its path in the site.
    folder
        The site, where images lie.
    """
    for element in page.article.find_all(id=True):
        element["id"] = f"{page.key}--{element['id']}"
    for element in page.article.find_all(True):
        for name in ("aria-labelledby", "aria-describedby", "headers"):
            if element.get(name):
                ids = str(element[name]).split()
                element[name] = " ".join(f"{page.key}--{one}" for one in ids)
    for link in page.article.find_all("a", href=True):
        target = book_link(str(link["href"]), page.name, keys)
        if target is None:  # a file of the site that is no page of the book
            link.unwrap()
        else:
            link["href"] = target
    for image in page.article.find_all("img", src=True):
        if not urlsplit(str(image["src"])).scheme:
            path = folder / posixpath.dirname(page.name) / unquote(str(image["src"]))
            image["src"] = path.resolve().as_uri()


def book_link(address: str, name: str, keys: dict[str, str]) -> str | None:
    """Return where a link of the page `name` leads in the book; None if it leads out of both."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
    key = keys.get(path if parts.path else f"{name}.html")
    if key is None:
        return None
    return f"#{key}--{parts.fragment}" if parts.fragment else f"#{key}"


def deepen(article: Tag, levels: int) -> None:
    """Move the headings of an article some levels down."""
    for heading in article.find_all(["h1", "h2", "h3", "h4"]):
        heading.name = f"h{min(6, int(heading.name[1]) + levels)}"


def solutions_part(
    key: str, chapter: str, solved: list[tuple[BuiltPage, list[Solution]]], words: dict[str, str]
) -> Part:
    """Put the solutions of a chapter below one heading.

    Parameters
    ----------
    key, chapter
        The key and the title of the chapter.
    solved
        Each page of it that has solutions, with them.
    words
        What the edition says in its own words.

    Returns
    -------
    part : Part
        A heading, a heading for each page, and the solutions with their labels.
    """
    article = Tag(name="article", attrs={"id": f"{key}--solutions", "class": "solutions"})
    title = words["solutions"].format(chapter)
    article.append(_element("h2", title))
    for page, solutions in solved:
        article.append(_element("h3", heading_text(page.article.find(HEADINGS))))
        for solution in solutions:
            for fold in solution.blocks:
                fold.name = "div"
            article.append(_element("p", solution.label, id=solution.key, **{"class": "label"}))
            article.extend(solution.blocks)
    for title_of_fold in article.select("div.dropdown > p.admonition-title, summary"):
        title_of_fold.decompose()
    return Part(f"{key}--solutions", title, chapter, article)


def _element(name: str, text: str, **attributes: str) -> Tag:
    """Return an element with a text."""
    element = Tag(name=name, attrs=attributes)
    element.string = text
    return element
