"""Realization of a meaning as a sentence: the other half of a synchronous grammar.

The four languages differ as they do outside this book, so that translating between them has
something to teach: German gender, case and adjective endings, the verb in second or last position,
separable verbs; French agreement and elision; Chinese classifiers, relative clauses before the
noun, times and locations before the verb. Meanings come from ``utils.data.grammar``.
"""

from __future__ import annotations

from utils.data.chinese import Chinese
from utils.data.english import English
from utils.data.french import French
from utils.data.german import German
from utils.data.grammar import Sentence
from utils.data.realizer import Realizer

REALIZERS: dict[str, Realizer] = {
    "de": German(),
    "en": English(),
    "fr": French(),
    "zh": Chinese(),
}


def realize(sentence: Sentence, language: str) -> str:
    """Return the sentence in a language: "de", "en", "fr" or "zh".

    Parameters
    ----------
    sentence
        The meaning.
    language
        "de", "en", "fr" or "zh".

    Returns
    -------
    str
        The sentence.
    """
    return REALIZERS[language].sentence(sentence)
