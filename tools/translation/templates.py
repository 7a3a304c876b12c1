"""Extracts the messages of the book, and brings the catalogues up to date (``make catalogues``).

Sphinx's builder "gettext" extracts what the pages are parsed into. What it does not see is added:
alt texts in the metadata of cells, and the words of the tools, of the pictures and of the
configuration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

import yaml
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

from tools.book_facts import read_cells, read_text
from tools.contents import ROOT, source_file
from tools.theme_fixes import WORDS
from tools.translation.catalogues import (
    FOLDER,
    GLOSSARY,
    LOCALE,
    OTHERS,
    SHARED,
    catalogue_names,
    catalogue_path,
    messages_of,
    one_line,
    read_catalogue,
    write_catalogue,
)
from tools.translation.checks import is_verbatim
from tools.translation.pictures import picture_words
from tools.translation.site import build_site
from tools.translation.terms import read_glossary

TEMPLATES = ROOT / "_build" / "gettext"
DIGEST = "Source digest: "
CONFIGURED = ("author", "copyright")  # texts of _config.yml that a reader sees


def source_digest(name: str) -> str:
    """Return a number that changes with the prose and the alt texts of a page."""
    path = source_file(name)
    text = "\n".join([read_text(path, "markdown"), *cell_alternatives(path)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_alternatives(path: Path) -> Iterator[str]:
    """Yield the alt texts in the metadata of a notebook's cells."""
    for cell in read_cells(path) if path.suffix == ".ipynb" else []:
        alternative = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        if alternative:
            yield alternative


def page_messages(name: str, templates: Path = TEMPLATES) -> list[str]:
    """Return the messages of a page, in its order.

    Parameters
    ----------
    name
        The name of the page.
    templates
        What the builder "gettext" has written.

    Returns
    -------
    messages : list of str
        Each once; the alt text of an image in a paragraph is in that paragraph's message.
    """
    with (templates / f"{name}.pot").open("rb") as file:
        found = [str(message.id) for message in messages_of(read_po(file))]
    found += map(one_line, cell_alternatives(source_file(name)))
    within = {text for text in found if any(f"![{text}](" in other for other in found)}
    return [message for message in dict.fromkeys(found) if message not in within]


def shared_messages(root: Path = ROOT) -> list[str]:
    """Return the texts of the tools, which they give to `_`, and those of the configuration."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    found = [*(config[key] for key in CONFIGURED), *WORDS]
    for path in sorted((root / "tools").rglob("*.py")):
        for _line, message, _comments, _context in extract_from_file("python", path, {"_": None}):
            found.append(str(message))
    return list(dict.fromkeys(found))


def other_messages(name: str, templates: Path = TEMPLATES) -> list[str]:
    """Return the messages of a catalogue that belongs to no page."""
    if name == SHARED:
        return shared_messages()
    if name == "pictures":
        return list(picture_words())
    with (templates / f"{name}.pot").open("rb") as file:
        return [str(message.id) for message in messages_of(read_po(file))]


def updated(
    old: Catalog, messages: Iterable[str], elsewhere: Mapping[str, str], *, is_plain: bool = False
) -> Catalog:
    """Return a catalogue with these messages and what was translated of them.

    Parameters
    ----------
    old
        The catalogue as it was.
    messages
        The messages as they are now.
    elsewhere
        The translations of earlier catalogues: a message has the same in all.
    is_plain
        Whether the messages are short texts of the tools, not Markdown.

    Returns
    -------
    new : Catalog
        A changed message is fuzzy: it has the Chinese of the old one, which has to be adapted.
    """
    new, messages = Catalog(LOCALE, fuzzy=False), list(messages)
    before = {str(message.id): message for message in messages_of(old)}
    gone = {text: m for text, m in before.items() if text not in messages and m.string}
    for text in messages:
        if text in elsewhere:
            new.add(text, elsewhere[text])
        elif text in before and before[text].string:
            message = before[text]
            new.add(
                text,
                message.string,
                flags=message.flags,
                previous_id=message.previous_id,
                user_comments=message.user_comments,
            )
        elif not is_plain and is_verbatim(text):
            new.add(text, text)
        elif not is_plain and (similar := get_close_matches(text, gone, 1)):
            message = gone.pop(similar[0])
            new.add(text, message.string, flags={"fuzzy"}, previous_id=[str(message.id)])
        else:
            new.add(text, "")
    return new


def update_catalogues(folder: Path = FOLDER) -> None:
    """Extract all messages, and bring every catalogue up to date; one of no page is removed.

    Parameters
    ----------
    folder
        Where the catalogues lie.
    """
    build_site("gettext", TEMPLATES)
    elsewhere: dict[str, str] = {}
    terms = {name: name for entry in read_glossary() for name in entry.english}
    for name in catalogue_names():
        path, is_plain = catalogue_path(name, folder), name in OTHERS
        messages = other_messages(name) if is_plain else page_messages(name)
        known = {} if is_plain else terms if name == GLOSSARY else elsewhere
        catalogue = updated(read_catalogue(path), messages, known, is_plain=is_plain)
        comment = "" if is_plain else f"{DIGEST}{source_digest(name)}"
        write_catalogue(catalogue, path, comment=comment)
        if not is_plain and name != GLOSSARY:
            for message in messages_of(catalogue):
                if message.string and not message.fuzzy:
                    elsewhere.setdefault(str(message.id), str(message.string))
    kept = {catalogue_path(name, folder) for name in catalogue_names()}
    for path in set(folder.rglob("*.po")) - kept:
        path.unlink()


def stored_digest(path: Path) -> str:
    """Return the digest of the page of which a catalogue was made; "" if there is none."""
    lines = path.read_text(encoding="utf-8").splitlines()[:3] if path.is_file() else []
    return next((x.partition(DIGEST)[2].strip() for x in lines if DIGEST in x), "")
