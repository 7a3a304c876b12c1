"""What is wrong with a message, and with a catalogue.

The same checks are a translator's command and the gate of the tests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from babel.messages.catalog import Message

from tools.translation.catalogues import (
    GLOSSARY,
    OTHERS,
    catalogue_name,
    messages_of,
    read_catalogue,
)
from tools.translation.markdown import Parts, read_parts
from tools.translation.terms import HAS_CHINESE, missing_terms
from tools.translation.typography import find_faults

NUMBER = re.compile(
    r"(?<![A-Za-z\d.])(\d+(?:,\d{3})*(?:\.\d+)*) ?(thousand|million|billion|trillion|万亿|亿|万)?"
)
UNITS = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "万": 4, "亿": 8, "万亿": 12}
WORD = re.compile(r"[A-Za-z]*[a-z][A-Za-z]+|[A-Za-z]+[a-z]")  # LSTM and EOS are names
NAMES = re.compile(r"\b(?:PyTorch|TensorFlow)\b")  # they look like words, and stay as they are
REFERENCE = re.compile(  # authors (year). [title](link), publication; or all of it as a link
    r"^(?:[^.]|\bal\.)*\((?:\d{4}[a-z]?|n\.d\.)\)\. \[.*\]\(https?://[^)]*\)[^\[\]]*\.?$"
    r"|^\[[^\[\]]*\(\d{4}[a-z]?\)\. [^\[\]]*\]\(https?://[^)]*\)[^\[\]]*$"
)
MARKUP = re.compile(r"\*\*|`|\{\w+\}|\]\(|\$")
COPIED = (GLOSSARY, *OTHERS)  # catalogues that may have English words
KINDS = {
    "formulas": "formulas",
    "code": "code in backticks",
    "links": "targets of links",
    "images": "images",
    "roles": "roles",
    "html": "HTML",
    "emphasis": "emphasis",
}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Parameters
    ----------
    page
        The name of the catalogue.
    message
        The English message.
    fault, advice
        What is wrong, and what to do.
    """

    page: str
    message: str
    fault: str
    advice: str

    def __str__(self) -> str:
        """Return it as two lines."""
        start = self.message if len(self.message) <= 90 else f"{self.message[:87]}..."
        return f"{self.page}: {start}\n    {self.fault}: {self.advice}"


def is_verbatim(message: str) -> bool:
    """Return whether a message has nothing to translate: formulas, code, names, a reference.

    Parameters
    ----------
    message
        A message in English.

    Returns
    -------
    verbatim : bool
        The catalogues then have it as it is.
    """
    if REFERENCE.match(message):
        return True
    return not WORD.search(NAMES.sub("", read_parts(message).text))


def check_message(message: Message, page: str) -> Iterator[Problem]:
    """Yield what is wrong with a message.

    Parameters
    ----------
    message
        With its translation.
    page
        The name of its catalogue.

    Yields
    ------
    problem : Problem
        One for each fault.
    """
    english, chinese = str(message.id), str(message.string or "")
    if not chinese:
        yield Problem(page, english, "not translated", "translate it")
        return
    if message.fuzzy:
        before = f" (it was: {message.previous_id[0]})" if message.previous_id else ""
        yield Problem(
            page,
            english,
            f"the English has changed{before}",
            "adapt the Chinese, and delete the lines `#, fuzzy` and `#|`",
        )
        return
    if chinese == english and (is_verbatim(english) or page in COPIED):
        return
    for fault, advice in text_faults(english, chinese):
        yield Problem(page, english, fault, advice)


def text_faults(english: str, chinese: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a translation, and what to do.

    Parameters
    ----------
    english, chinese
        The two texts in Markdown; or plain, as those of the tools.

    Yields
    ------
    fault, advice : str, str
        One pair for each fault.
    """
    if chinese != chinese.strip() or ("\n" in chinese and "\n" not in english):
        yield "spaces around it, or a new line", "write it on one line"
    old, new = read_parts(english), read_parts(chinese)
    yield from _differences(old, new)
    if WORD.search(old.text) and not HAS_CHINESE.search(new.text):
        if chinese == english or len(WORD.findall(new.text)) > 3:
            yield "it is still English", "translate it"
        return
    if MARKUP.search(new.text):
        yield f"stray markup: {MARKUP.findall(new.text)}", "close what was opened"
    before, after = numbers_in(old.text), numbers_in(new.text)
    if before != after:
        parts = [f"missing {sorted((before - after).elements())}" if before - after else ""]
        parts.append(f"added {sorted((after - before).elements())}" if after - before else "")
        yield (
            f"numbers differ: {', '.join(filter(None, parts))}",
            "keep digits as they are, and write words (three) in Chinese (三)",
        )
    for term, name in missing_terms(old.text, new.text):
        yield f"the term “{term}” is not translated as the glossary has it", f"write {name}"
    for place, fault, advice in find_faults(new.text):
        yield f"{fault}: “{place}”", advice


def numbers_in(text: str) -> Counter[str]:
    """Return the numbers in digits, with their units: 405 billion is 4050 亿."""
    numbers: Counter[str] = Counter()
    for digits, unit in NUMBER.findall(text):
        plain = digits.replace(",", "")
        if plain.count(".") < 2:  # not the number of a section, such as 4.1.2
            plain = f"{Decimal(plain).scaleb(UNITS[unit]).normalize():f}" if unit else plain
        numbers[plain] += 1
    return numbers


def _differences(old: Parts, new: Parts) -> Iterator[tuple[str, str]]:
    """Yield in what the markup of a translation differs from that of its original."""
    for kind, name in KINDS.items():
        missing = getattr(old, kind) - getattr(new, kind)
        added = getattr(new, kind) - getattr(old, kind)
        if missing:
            yield f"{name} missing: {', '.join(missing.elements())}", "keep each of them"
        if added:
            yield f"{name} added: {', '.join(added.elements())}", "take them away"


def check_catalogue(path: Path) -> Iterator[Problem]:
    """Yield what is wrong with a catalogue: its messages, and what is left of old ones.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    problem : Problem
        In the order of the page.
    """
    page = catalogue_name(path)
    catalogue = read_catalogue(path)
    for message in messages_of(catalogue):
        yield from check_message(message, page)
    for key in catalogue.obsolete:
        yield Problem(page, str(key), "obsolete", "run `make catalogues`")
