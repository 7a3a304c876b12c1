"""Stand-in for a parallel corpus: sentence pairs of a synchronous grammar.

A random meaning (``utils.data.standins.sampler``) is expressed in two languages. The four languages
differ as natural languages do, so that translation between them is not trivial: German gender, case
and adjective endings, the verb in second or last position, separable verbs; French agreement and
elision; Chinese classifiers, relative clauses before the noun, times and locations before the verb.
"""

from __future__ import annotations

from utils.arguments import check_choice, check_integer
from utils.data.checks import check_split_sizes
from utils.data.examples import ExampleSplits, Language, SentencePair
from utils.data.standins.chinese import Chinese
from utils.data.standins.english import English
from utils.data.standins.french import French
from utils.data.standins.german import German
from utils.data.standins.grammar import Realizer, Sentence
from utils.data.standins.sampler import MeaningSampler

REALIZERS: dict[Language, Realizer] = {
    "de": German(),
    "en": English(),
    "fr": French(),
    "zh": Chinese(),
}


def make_pairs(
    source_language: Language,
    target_language: Language,
    *,
    sizes: tuple[int, int, int] = (18000, 1000, 1000),
    seed: int = 0,
) -> ExampleSplits[SentencePair]:
    """Generate sentence pairs without duplicate source or target sentences.

    Parameters
    ----------
    source_language, target_language
        Two of the languages "de", "en", "fr" and "zh".
    sizes
        The numbers of pairs for training, validation and test.
    seed
        The seed of the sampler of meanings.

    Returns
    -------
    train, valid, test : list of tuple of str and str
        The (source, target) pairs.

    Raises
    ------
    ValueError
        If a language is unknown or both are the same, or a size or the seed is not a non-negative
        integer.

    Examples
    --------
    >>> from utils.data.standins.pairs import make_pairs
    >>> train, valid, test = make_pairs("de", "en", sizes=(50, 1, 1))
    >>> min(train, key=lambda pair: len(pair[0]))
    ('Ein Hund hat gewartet.', 'A dog waited.')
    """
    check_choice(REALIZERS, source_language=source_language, target_language=target_language)
    if source_language == target_language:
        raise ValueError(f"source and target language are both {source_language!r}: give two")
    check_split_sizes(sizes)
    check_integer(minimum=0, seed=seed)
    sampler = MeaningSampler(seed)
    sources: set[str] = set()
    targets: set[str] = set()
    unique: list[SentencePair] = []
    while len(unique) < sum(sizes):
        meaning = sampler.sentence()
        pair = realize(meaning, source_language), realize(meaning, target_language)
        if pair[0] not in sources and pair[1] not in targets:
            unique.append(pair)
            sources.add(pair[0])
            targets.add(pair[1])
    train_end, valid_end = sizes[0], sizes[0] + sizes[1]
    return unique[:train_end], unique[train_end:valid_end], unique[valid_end:]


def realize(sentence: Sentence, language: Language) -> str:
    """Return the text of a sentence in one of the languages."""
    return REALIZERS[language].sentence(sentence)
