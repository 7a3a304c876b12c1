"""The pages of the built site, in the order of the contents, as trees of elements.

The site is what the two editions are made from, so that they show what it shows. Everything here
holds for a site in any language; the few words that the editions add stand in `WORDS`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"

# What only the site can show, or shows a second time: models that run and what runs them, and the
# lists of formulas and of claims, which stand in the sections.
SITE_PAGES = frozenset({"book/claims", "book/engine", "book/equations", "book/live"})

# What the editions say in their own words, by the language of the site.
WORDS = {
    "en": {
        "contents": "Contents",
        "solutions": "Solutions: {}",
        "solution": "Solution",
        "answer": "Answer",
        "repeated": "The same code as before",
        "on_page": ", page {}",
        "sound": "A sound: it can be heard on the site.",
        "made": "Made on {date} from commit {commit}. The site has lists of all equations and "
        "all claims, too, and runs models in its pages.",
    },
    "zh": {
        "contents": "目录",
        "solutions": "解答：{}",
        "solution": "解答",
        "answer": "答案",
        "repeated": "代码与前面相同",
        "on_page": "，第 {} 页",
        "sound": "一段声音，可在网站上收听。",
        "made": "{date}，由提交 {commit} 生成。"
        "网站另有全部公式和全部论断的列表，以及可在页面中运行的模型。",
    },
}


# Parts of code without a colour of their own: two thirds of all elements of the book.
PLAIN_CODE = re.compile(r'<span class="(?:n|nn|nx|p|w)">([^<]*)</span>|<span></span>')


class EditionError(Exception):
    """An edition cannot be made, and the message says why in one line."""


@dataclass(frozen=True)
class BuiltPage:
    """One page of the site.

    Parameters
    ----------
    name
        As in ``_toc.yml``: ``notebooks/02-1-language-models``.
    depth
        How deep it stands in the contents: 0 for a chapter, 1 for its sections.
    article
        Its content, without the frame of the site.
    """

    name: str
    depth: int
    article: Tag

    @property
    def key(self) -> str:
        """Its name as the beginning of an id."""
        return self.name.replace("/", "-")

    @property
    def title(self) -> str:
        """The text of its first heading."""
        return heading_text(self.article.find("h1"))


@dataclass(frozen=True)
class BuiltSite:
    """A built site.

    Parameters
    ----------
    folder
        Where it lies.
    language
        Its language, as HTML names it.
    pages
        Its pages in the order of the contents; the first page comes first.
    """

    folder: Path
    language: str
    pages: list[BuiltPage]

    @property
    def words(self) -> dict[str, str]:
        """What the editions say in their own words."""
        return WORDS[self.language[:2]]

    @property
    def chapters(self) -> list[list[BuiltPage]]:
        """The pages of each chapter, its own page first."""
        chapters: list[list[BuiltPage]] = []
        for page in self.pages:
            chapters += [[page]] if page.depth == 0 else []
            chapters[-1] += [page] if page.depth else []
        return chapters


def heading_text(heading: Tag | None) -> str:
    """Return the text of a heading without its link to itself, formulas in LaTeX."""
    if heading is None:
        return ""
    texts = [
        text
        for text in heading.strings
        if text.parent is None or "headerlink" not in text.parent.get("class", [])
    ]
    return " ".join("".join(texts).split())


def read_names(root: Path = ROOT) -> Iterator[tuple[str, int]]:
    """Yield the name of each page of ``_toc.yml`` and its depth, the first page first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    yield toc["root"], 0
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            yield from _names_from(chapter, 0)


def _names_from(entry: dict[str, Any], depth: int) -> Iterator[tuple[str, int]]:
    """Yield the names and depths of an entry and of those below it."""
    yield entry["file"], depth
    for section in entry.get("sections", []):
        yield from _names_from(section, depth + 1)


def read_site(
    folder: Path = SITE, root: Path = ROOT, *, only: Collection[str] | None = None
) -> BuiltSite:
    """Read the pages of a built site.

    Parameters
    ----------
    folder
        The site, as ``make book`` builds it.
    root
        The folder of the book, whose ``_toc.yml`` lists the pages.
    only
        The names of the pages to read; all but `SITE_PAGES` if it is None.

    Returns
    -------
    site : BuiltSite
        Its pages in the order of the contents.

    Raises
    ------
    EditionError
        If there is no site, a page is missing, or the language has no words.
    """
    if not (folder / "index.html").is_file():
        raise EditionError(f"there is no built site in {folder}: `make book` builds it")
    pages, language = [], "en"
    for name, depth in read_names(root):
        if name in SITE_PAGES if only is None else name not in only:
            continue
        path = folder / f"{name}.html"
        if not path.is_file():
            raise EditionError(f"the page {name} of _toc.yml is missing in {folder}: `make book`")
        tree = BeautifulSoup(PLAIN_CODE.sub(r"\1", path.read_text(encoding="utf-8")), "lxml")
        article = tree.find("article")
        if not isinstance(article, Tag) or article.find("h1") is None:
            raise EditionError(f"{path} has no article with a heading: build the site again")
        language = str(tree.html["lang"]) if tree.html else language
        pages.append(BuiltPage(name, depth, article))
    if language[:2] not in WORDS:
        raise EditionError(f"the site's language is {language!r}; WORDS has {', '.join(WORDS)}")
    return BuiltSite(folder, language, pages)
