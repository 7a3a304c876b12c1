"""The search of the Chinese edition: it finds words, which a dictionary has to know.

Chinese is written without spaces. Sphinx cuts it into words with jieba, which knows everyday
words; the terms of the glossary are added to its dictionary.
"""

from __future__ import annotations

import logging
from pathlib import Path

import jieba

from tools.book_facts import ROOT
from tools.translation.markdown import CJK
from tools.translation.terms import read_glossary

DICTIONARY = ROOT / "_build" / "words.txt"
FREQUENCY = 100_000  # more than that of any everyday word of two characters that a term contains


def write_dictionary(path: Path = DICTIONARY) -> Path:
    """Write the Chinese terms of the glossary as jieba reads them.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    path : Path
        The same.
    """
    jieba.setLogLevel(logging.WARNING)
    words = {word for entry in read_glossary() for word in entry.chinese if CJK.search(word)}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{word} {FREQUENCY}\n" for word in sorted(words) if " " not in word]
    path.write_text("".join(lines), encoding="utf-8")
    return path
