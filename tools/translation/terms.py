"""The terms of the book: the glossary has one Chinese term for each English one.

``locale/terms.txt`` lists the exceptions: words of the glossary that are everyday words too, with
what else they may be in Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.contents import ROOT

GLOSSARY = ROOT / "book" / "glossary.md"
EXCEPTIONS = ROOT / "locale" / "terms.txt"
ANYTHING = "*"
ACRONYM = re.compile(r"[A-Z].*[A-Z]|\d")  # LSTM and seq2seq may stay as they are
HAS_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class GlossaryEntry:
    """An entry of the glossary.

    Parameters
    ----------
    english, chinese
        Its names in each language, the main one first.
    """

    english: tuple[str, ...]
    chinese: tuple[str, ...]


def read_glossary(path: Path = GLOSSARY) -> list[GlossaryEntry]:
    """Return the entries of the glossary."""
    text = path.read_text(encoding="utf-8").partition("```{glossary}\n")[2].partition("\n```")[0]
    entries = []
    for block in text.split("\n\n"):
        names = [line for line in block.splitlines() if line.strip() and not line.startswith(" ")]
        chinese = tuple(name for name in names if HAS_CHINESE.search(name))
        entries.append(GlossaryEntry(tuple(n for n in names if n not in chinese), chinese))
    return entries


def read_exceptions(path: Path = EXCEPTIONS) -> dict[str, list[str]]:
    """Return what else a term may be in Chinese: lines ``term = 中文; 中文``, or ``term = *``."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {term.strip(): [word.strip() for word in words.split(";")] for term, words in pairs}


@cache
def _terms() -> tuple[dict[str, list[str]], re.Pattern[str]]:
    """Return the allowed Chinese of each English term, and what finds terms, the longest first."""
    exceptions, terms = read_exceptions(), dict[str, list[str]]()
    for entry in read_glossary():
        if not entry.chinese:
            continue
        several = entry.chinese if len(entry.english) > 1 else entry.chinese[:1]
        for name in entry.english:
            own = [name] if ACRONYM.search(name) else []
            terms[_key(name)] = [*several, *own, *exceptions.get(name, [])]
    names = sorted(terms, key=len, reverse=True)
    alternatives = "|".join(re.escape(name).replace("\\ ", r"[ –-]") for name in names)
    return terms, re.compile(rf"(?<![\w-])({alternatives})(?:s|es)?(?![\w-])", re.IGNORECASE)


def _key(name: str) -> str:
    """Return a term as it is compared: in small letters, without dashes."""
    return re.sub("[–-]", " ", name.casefold())


def missing_terms(english: str, chinese: str) -> Iterator[tuple[str, str]]:
    """Yield terms of an English text whose Chinese is missing in its translation.

    Parameters
    ----------
    english, chinese
        The words of a message and of its translation, without markup.

    Yields
    ------
    english, chinese : str, str
        The term, and what the glossary calls it.
    """
    terms, pattern = _terms()
    text = chinese.replace(" ", "")
    for found in dict.fromkeys(_key(match[1]) for match in pattern.finditer(english)):
        allowed = terms[found]
        if ANYTHING not in allowed and not any(word.replace(" ", "") in text for word in allowed):
            yield found, allowed[0]
