"""The search of the Chinese edition: it finds words, which a dictionary has to know.

Chinese is written without spaces. Sphinx cuts it into words with jieba, which knows everyday
words; the terms of the glossary are added to its dictionary.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import jieba
from sphinx.search.zh import SearchChinese

from tools.contents import ROOT
from tools.translation.terms import HAS_CHINESE, read_glossary

DICTIONARY = ROOT / "_build" / "words.txt"
FREQUENCY = 100_000  # more than that of any everyday word of two characters that a term contains
CHINESE = re.compile(r"[\u3400-\u9fff]+")


class ChineseSearch(SearchChinese):
    """Cuts pages into words; Sphinx's own class looks each Latin word up in a list of all."""

    def init(self, options: dict[str, str]) -> None:
        """Load the dictionary; Sphinx calls this."""
        super().init(options)
        self.seen: set[str] = set()

    def split(self, text: str) -> list[str]:
        """Return the words of a text, Chinese and Latin ones.

        Parameters
        ----------
        text
            A part of a page.

        Returns
        -------
        words : list of str
            A long Chinese word is followed or preceded by the shorter ones in it.
        """
        latin = self.latin1_letters.findall(text)
        self.seen.update(latin)
        chinese = (word for run in CHINESE.findall(text) for word in jieba.cut_for_search(run))
        return [*chinese, *latin]

    def stem(self, word: str) -> str:
        """Return the stem of a Latin word, unless it would be too short to be found.

        Parameters
        ----------
        word
            The word.

        Returns
        -------
        stem : str
            In small letters.
        """
        small = word.lower()
        stem = self.stemmer.stemWord(small)
        is_too_short = word in self.seen and len(word) >= 3 and len(stem) < 3
        return small if is_too_short else stem


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
    words = {word for entry in read_glossary() for word in entry.chinese}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{word} {FREQUENCY}\n" for word in sorted(words) if HAS_CHINESE.match(word)]
    path.write_text("".join(line for line in lines if line.count(" ") == 1), encoding="utf-8")
    return path
