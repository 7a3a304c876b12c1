"""The contents of the book from ``_toc.yml``: its chapters and pages, and the files of those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Chapter:
    """One entry of the table of contents.

    Parameters
    ----------
    part
        The caption of the part of the book to which it belongs.
    name
        The name of its page, as in ``_toc.yml``.
    sections
        The names of the pages below it, at any depth, in their order.
    """

    part: str
    name: str
    sections: list[str]


def read_chapters(root: Path = ROOT) -> list[Chapter]:
    """Return the chapters that ``_toc.yml`` lists, each with the pages below it."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [
        Chapter(part["caption"], entry["file"], list(_names_below(entry)))
        for part in toc["parts"]
        for entry in part["chapters"]
    ]


def _names_below(entry: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the pages below an entry of ``_toc.yml``, depth first."""
    for section in entry.get("sections", []):
        yield section["file"]
        yield from _names_below(section)


def page_names(root: Path = ROOT) -> Iterator[str]:
    """Yield the names of all pages in their order, without the first page."""
    for chapter in read_chapters(root):
        yield from (chapter.name, *chapter.sections)


def source_file(name: str, root: Path = ROOT) -> Path:
    """Find the file of a page.

    Parameters
    ----------
    name
        The name of the page, as in ``_toc.yml``.
    root
        The folder of the book.

    Returns
    -------
    path : Path
        A Markdown page or a notebook.

    Raises
    ------
    ValueError
        Unless the page has exactly one file.
    """
    paths = [path for path in root.glob(f"{name}.*") if path.suffix in (".md", ".ipynb")]
    if len(paths) != 1:
        raise ValueError(f"{name!r} is {len(paths)} files; expected one .md or .ipynb")
    return paths[0]
