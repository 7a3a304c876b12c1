"""Catalogues: the messages of each page with their Chinese, as files of gettext.

They lie in ``locale/zh_CN/LC_MESSAGES``: one for each page of ``_toc.yml``, by its name, and a few
for what the tools write (`SHARED`, ``diagrams``, ``pictures``). Every build reads them anew; there
are no compiled ones. `_` translates a text of the tools into the language of the build.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from tools.contents import ROOT, page_names

LOCALE = "zh_CN"
FOLDER = ROOT / "locale" / LOCALE / "LC_MESSAGES"
SHARED = "shared"  # the words of the tools, of the theme and of the book as a whole
OTHERS = (SHARED, "pictures", "diagrams")  # catalogues that belong to no page
FIRST_PAGE, GLOSSARY = "book/index", "book/glossary"
HEADER = "Content-Type: text/plain; charset=UTF-8\\n"

_language = ["en"]  # of the build that runs


def catalogue_path(name: str, folder: Path = FOLDER) -> Path:
    """Return where the catalogue of a page lies."""
    return folder / f"{name}.po"


def catalogue_name(path: Path, folder: Path = FOLDER) -> str:
    """Return the page of a catalogue's file."""
    return path.resolve().relative_to(folder.resolve()).with_suffix("").as_posix()


def catalogue_names() -> list[str]:
    """Return the names of all catalogues: the pages in their order, then the others."""
    return [FIRST_PAGE, *page_names(), *OTHERS]


def read_catalogue(path: Path) -> Catalog:
    """Read a catalogue; one without a file is empty."""
    if not path.is_file():
        return Catalog(LOCALE, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, LOCALE)


def messages_of(catalogue: Catalog) -> Iterator[Message]:
    """Yield the messages of a catalogue without its head."""
    return (message for message in catalogue if message.id)


def write_catalogue(catalogue: Catalog, path: Path, *, comment: str = "") -> None:
    """Write a catalogue in the order of its page, without dates, places and obsolete messages.

    Parameters
    ----------
    catalogue
        The messages.
    path
        The file, which is left alone if it has the same content.
    comment
        A line above everything.
    """
    for message in catalogue:
        message.flags &= {"fuzzy"}  # Babel takes braces for those of Python
    buffer = io.BytesIO()
    write_po(
        buffer,
        catalogue,
        width=0,
        no_location=True,
        omit_header=True,
        ignore_obsolete=True,
        include_previous=True,
    )
    head = f"# {comment}\n" if comment else ""
    text = f'{head}msgid ""\nmsgstr "{HEADER}"\n\n{buffer.getvalue().decode("utf-8")}'
    text = text.rstrip("\n") + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read_translations(name: str) -> Mapping[str, str]:
    """Return the Chinese of each message of a catalogue that has been translated.

    Parameters
    ----------
    name
        The name of a page, or one of `OTHERS`.

    Returns
    -------
    translations : mapping of str to str
        Without messages that are empty or fuzzy: these show their English.
    """
    path = catalogue_path(name)
    return _translations(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=256)
def _translations(path: Path, _changed: int) -> dict[str, str]:
    """Read the finished messages of a file, which is read again after a change."""
    messages = messages_of(read_catalogue(path))
    return {str(m.id): str(m.string) for m in messages if m.string and not m.fuzzy}


def use_language(language: str) -> None:
    """Set the language of the build that runs, as Sphinx names it: "en" or `LOCALE`."""
    _language[0] = language


def translate(text: str, name: str) -> str:
    """Return a message of a catalogue in the language of the build.

    Parameters
    ----------
    text
        The message, on one or several lines.
    name
        The name of the catalogue.

    Returns
    -------
    translation : str
        The text itself in an English build, and where it has not been translated.
    """
    if _language[0] != LOCALE:
        return text
    return read_translations(name).get(one_line(text), text)


def translate_anywhere(text: str) -> str:
    """Return a message in the language of the build, wherever it is translated: a title, say."""
    if _language[0] != LOCALE:
        return text
    found = (read_translations(name).get(one_line(text)) for name in catalogue_names())
    return next(filter(None, found), text)


def one_line(text: str) -> str:
    """Return a message as Sphinx writes it into a catalogue: on one line."""
    return text.replace("\n", " ").strip()


def _(text: str) -> str:
    """Return a text of the tools in the language of the build."""
    return translate(text, SHARED)
