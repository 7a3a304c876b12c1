"""Links that also name a page, for readers of paper."""

from __future__ import annotations

from bs4 import NavigableString, Tag


def link_with_page(key: str, text: str, words: dict[str, str]) -> Tag:
    """Return a line with a link and a place for its page, which the PDF fills in.

    Parameters
    ----------
    key
        The id to which it leads.
    text
        What it says.
    words
        What the edition says in its own words.

    Returns
    -------
    line : Tag
        A paragraph; what names the page is of the class ``on-page``.
    """
    line = Tag(name="p", attrs={"class": "see-page"})
    link = Tag(name="a", attrs={"href": f"#{key}"})
    link.string = text
    before, after = words["on_page"].split("{}")
    place = Tag(name="span", attrs={"class": "on-page"})
    number = Tag(name="span", attrs={"class": "page-of", "data-target": key})
    place.extend([NavigableString(before), number, NavigableString(after)])
    line.extend([link, place])
    return line
