"""Solutions and answers: out of the text, to the end of their chapter.

On the site they are folded where they arise. A solution is a cell tagged ``hide-cell``, or a fold
in the section of such a cell; an answer is a fold that is called so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bs4 import Tag

from tools.editions.built_site import BuiltPage, heading_text
from tools.editions.page_links import link_with_page

HEADINGS = ["h1", "h2", "h3", "h4"]
FOLDS = "div.tag_hide-cell, div.admonition.dropdown, details"


@dataclass
class Solution:
    """What solves one exercise, or answers one question.

    Parameters
    ----------
    key
        Its id in the edition.
    label
        The name of the exercise, or the heading above the question.
    blocks
        Its parts, taken out of the text.
    """

    key: str
    label: str
    blocks: list[Tag] = field(default_factory=list)


def take_solutions(page: BuiltPage, words: dict[str, str]) -> list[Solution]:
    """Take the solutions out of a page, and leave a link in the place of each.

    Parameters
    ----------
    page
        A page of the site, whose article is changed.
    words
        What the edition says in its own words.

    Returns
    -------
    solutions : list of Solution
        In the order of the page.
    """
    solutions: list[Solution] = []
    exercises = [cell.find_parent("section") for cell in page.article.select("div.tag_hide-cell")]
    for fold in page.article.select(FOLDS):
        section = fold.find_parent("section")
        is_exercise = any(section is other for other in exercises)
        if fold.find_parent(is_fold) or not (is_exercise or fold_title(fold) == words["answer"]):
            continue
        label = (is_exercise and _bold_words_before(fold)) or heading_text(
            section.find(HEADINGS) if section else None
        )
        if not solutions or solutions[-1].label != label:
            solutions.append(Solution(f"{page.key}--solution-{len(solutions) + 1}", label))
            fold.insert_before(link_with_page(solutions[-1].key, words["solution"], words))
        solutions[-1].blocks.append(fold.extract())
    return solutions


def is_fold(element: Tag) -> bool:
    """Whether an element is folded on the site."""
    classes = str(element.get("class"))
    return element.name == "details" or "tag_hide-cell" in classes or "dropdown" in classes


def fold_title(fold: Tag) -> str:
    """Return what a fold shows while it is closed."""
    title = fold.find(["summary", "p"])
    return title.get_text(" ", strip=True) if title else ""


def _bold_words_before(fold: Tag) -> str:
    """Return the bold words that begin the exercise before a fold."""
    for paragraph in fold.find_previous_siblings("p"):
        first = next(iter(paragraph.children), None)
        if isinstance(first, Tag) and first.name == "strong":
            return first.get_text(" ", strip=True).rstrip(".。")
    return ""
