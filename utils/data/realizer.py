"""Base class of the classes that express meanings in a language.

They are in ``utils.data.english``, ``german``, ``french`` and ``chinese``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from utils.data.grammar import Sentence


class Realizer(ABC):
    """Expresses the meanings of ``utils.data.grammar`` in one language."""

    @abstractmethod
    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence as text."""


def punctuate(words: list[str]) -> str:
    """Join words to a sentence: no spaces before commas, no double commas, capital, full stop."""
    text = re.sub(r" (?=,)", "", " ".join(word for word in words if word))
    text = re.sub(r",+(?=,|$)", "", text)
    return text[0].upper() + text[1:] + "."
