"""Builds the site in one language beside the English one, and the templates of the catalogues."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.contents import ROOT
from tools.translation.catalogues import FIRST_PAGE, LOCALE

SITE = ROOT / "_build" / "html"
CHINESE_SITE = SITE / "zh"
ALWAYS = ("book/glossary", "book/references")  # pages that every other one links
PREVIEW = ROOT / "_build" / "preview"


def build_site(
    builder: str, folder: Path, *, language: str = "en", only: Sequence[str] = ()
) -> int | Exception:
    """Build the book with Jupyter Book.

    Parameters
    ----------
    builder
        A builder of Sphinx: "html" or "gettext".
    folder
        Where the result lies; parsed pages are kept in ``_build``, for the next time.
    language
        As Sphinx names it.
    only
        The names of pages, for a preview: links to others lead nowhere.

    Returns
    -------
    status : int or Exception
        0 if all went well; a warning is an error, but not in a preview or for the templates.
    """
    from jupyter_book.sphinx import build_sphinx

    is_whole = builder == "html" and not only
    with tempfile.TemporaryDirectory() as scratch:
        toc = ROOT / "_toc.yml"
        if only:
            toc = Path(scratch) / "_toc.yml"
            toc.write_text(yaml.safe_dump(_contents(only)), encoding="utf-8")
        options: dict[str, Any] = {
            "external_toc_path": str(toc),
            "language": language,
            "latex_individualpages": False,
            "nitpicky": is_whole,
        }
        result: int | Exception = build_sphinx(
            ROOT,
            folder,
            path_config=ROOT / "_config.yml",
            noconfig=True,
            confoverrides=options,
            doctreedir=ROOT / "_build" / f".doctrees-{folder.name}",
            builder=builder,
            warningiserror=is_whole,
            keep_going=is_whole,
            quiet=True,
            really_quiet=not is_whole,
        )
        return result


def _contents(names: Sequence[str]) -> dict[str, Any]:
    """Return contents with these pages and the first one."""
    chapters = [{"file": name} for name in names if name != FIRST_PAGE]
    part = {"caption": "Chapters", "chapters": chapters}
    return {"format": "jb-book", "root": FIRST_PAGE, **({"parts": [part]} if chapters else {})}


def build_chinese_site() -> int | Exception:
    """Build the Chinese site below the English one."""
    return build_site("html", CHINESE_SITE, language=LOCALE)


def build_preview(names: Sequence[str]) -> Path:
    """Build a few pages in Chinese.

    Parameters
    ----------
    names
        The names of the pages.

    Returns
    -------
    path : Path
        The first of them, to open in a browser.
    """
    build_site("html", PREVIEW, language=LOCALE, only=[*dict.fromkeys([*names, *ALWAYS])])
    return PREVIEW / f"{names[0]}.html"


def own_pages(site: Path | str) -> Iterator[Path]:
    """Yield the pages of a site, without those of another language that lies below it."""
    for path in Path(site).rglob("*.html"):
        if path.relative_to(site).parts[0] != CHINESE_SITE.name:
            yield path


def remove_chinese_site() -> None:
    """Remove a Chinese site of an earlier build."""
    shutil.rmtree(CHINESE_SITE, ignore_errors=True)
