"""The corpora of the book by name, each in a training, validation and test split.

A loader gives the real corpus if its files are on this machine or can be
downloaded (``utils.data.download``). If no server answers, it gives a stand-in made on the spot
(``utils.data.standins``) and prints one line about it; `Corpus.origin` says which of the two it is.

The film reviews are those of Pang and Lee 2005.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from utils.arguments import check_choice
from utils.console import safe_print
from utils.data import readers
from utils.data.corpus import (
    Clip,
    Corpus,
    CorpusOrigin,
    ExampleSplits,
    LabelledReview,
    Language,
    SentencePair,
)
from utils.data.download import NoNetwork, resolve
from utils.data.standins.pairs import make_pairs
from utils.data.standins.spoken_digits import make_digits
from utils.data.standins.texts import make_reviews, make_text

TextCorpusName: TypeAlias = Literal["tiny_shakespeare"]
"""The name of a corpus of running text."""

PairCorpusName: TypeAlias = Literal["multi30k", "tatoeba"]
"""The name of a corpus of sentence pairs."""

CORPUS_LANGUAGES: dict[PairCorpusName, tuple[Language, ...]] = {
    "multi30k": ("de", "en", "fr"),
    "tatoeba": ("en", "zh"),
}

Multi30kTest: TypeAlias = Literal["test_2016_flickr", "test_2017_flickr"]
"""The name of a test set of multi30k."""

CorpusData = TypeVar("CorpusData")


def corpus_files(name: str) -> dict[str, Path]:
    """Find the files of a corpus, downloaded if needed, and check them.

    Parameters
    ----------
    name
        The name of the corpus in ``registry.json``.

    Returns
    -------
    paths : dict of str to Path
        The path of each file by its name.

    Raises
    ------
    ValueError
        If there is no such corpus.
    DataError
        If a file cannot be had or is not the expected one (NoNetwork if no server answered: there
        is no stand-in for a file).
    """
    return resolve(name)


def load_text(name: TextCorpusName = "tiny_shakespeare") -> Corpus[str]:
    """Load a running text.

    Parameters
    ----------
    name
        "tiny_shakespeare" is the only one.

    Returns
    -------
    corpus : Corpus
        Each split is a string: the first 90 %, the next 5 % and the last 5 % of the characters.

    Raises
    ------
    ValueError
        If there is no such corpus.
    DataError
        If a file or a server's response is not the expected one.
    """
    check_choice("text corpus", name, get_args(TextCorpusName))
    text, origin = _load_or_standin(
        name, lambda: readers.read_text(resolve(name)["input.txt"]), make_text
    )
    return split_text(name, origin, text)


def split_text(name: str, origin: CorpusOrigin, text: str) -> Corpus[str]:
    """Make a corpus of any running text, split as in `load_text`.

    Parameters
    ----------
    name
        Name of the corpus.
    origin
        "real" or "stand-in".
    text
        The text.

    Returns
    -------
    corpus : Corpus
        Its three splits.
    """
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return Corpus(name, origin, text[:first], text[first:second], text[second:])


def load_pairs(
    name: PairCorpusName = "multi30k",
    *,
    source_language: Language = "de",
    target_language: Language = "en",
    test: Multi30kTest = "test_2016_flickr",
) -> Corpus[list[SentencePair]]:
    """Load sentence pairs for translation.

    Parameters
    ----------
    name
        "multi30k" (captions of images) or "tatoeba" (everyday sentences).
    source_language
        The language to translate from: "de", "en" or "fr" of multi30k, "en" or "zh" of tatoeba.
    target_language
        The language to translate into, another one of these.
    test
        Which of multi30k's test sets to use: "test_2016_flickr" or "test_2017_flickr". Tatoeba has
        one; no English sentence of it is in another split, even with other capitals or punctuation.

    Returns
    -------
    corpus : Corpus
        Each split is a list of (source sentence, target sentence).

    Raises
    ------
    ValueError
        If a name is not one of the choices, or both languages are the same.
    DataError
        If a file or a server's response is not the expected one.
    """
    check_choice("corpus of sentence pairs", name, CORPUS_LANGUAGES)
    for language in (source_language, target_language):
        check_choice(f"language of {name}", language, CORPUS_LANGUAGES[name])
    if source_language == target_language:
        raise ValueError(
            f"source_language and target_language are both {source_language!r}; "
            f"{name} has {', '.join(CORPUS_LANGUAGES[name])}"
        )
    check_choice("test", test, get_args(Multi30kTest))

    def load() -> ExampleSplits[SentencePair]:
        if name == "multi30k":
            return _load_multi30k(source_language, target_language, test)
        return readers.read_tatoeba(resolve(name)["cmn.txt"], source_language)

    splits, origin = _load_or_standin(
        name, load, lambda: make_pairs(source_language, target_language)
    )
    return Corpus(name, origin, *splits)


def load_reviews() -> Corpus[list[LabelledReview]]:
    """Load sentences from film reviews, each with the opinion that it expresses.

    Returns
    -------
    corpus : Corpus
        Each split is a list of (sentence, label), the label 1 for praise and 0 for blame. The
        splits are 80 %, 10 % and 10 % of the sentences, always shuffled alike; a sentence that
        occurs twice stays in one split.

    Raises
    ------
    DataError
        If a file or a server's response is not the expected one.
    """

    def load() -> ExampleSplits[LabelledReview]:
        paths = resolve("movie_reviews")
        return readers.read_reviews(paths["rt-polarity.pos"], paths["rt-polarity.neg"])

    splits, origin = _load_or_standin("movie_reviews", load, make_reviews)
    return Corpus("movie_reviews", origin, *splits)


def load_digits() -> Corpus[list[Clip]]:
    """Load recordings of spoken digits.

    Returns
    -------
    corpus : Corpus
        Each split is a list of Clip. Of the takes of each digit by each speaker, the first tenth is
        the test set (as published), the second tenth the validation set, the rest is for training.

    Raises
    ------
    DataError
        If a file or a server's response is not the expected one.
    """

    def load() -> list[Clip]:
        (path,) = resolve("spoken_digits").values()
        return readers.read_digits(path)

    clips, origin = _load_or_standin("spoken_digits", load, make_digits)
    tenth = (max(clip.take for clip in clips) + 1) // 10
    test = [clip for clip in clips if clip.take < tenth]
    valid = [clip for clip in clips if tenth <= clip.take < 2 * tenth]
    train = [clip for clip in clips if clip.take >= 2 * tenth]
    return Corpus("spoken_digits", origin, train, valid, test)


def _load_multi30k(
    source_language: Language, target_language: Language, test: Multi30kTest
) -> ExampleSplits[SentencePair]:
    """Read those files of multi30k that two languages and a test set need."""
    names = [
        (f"{part}.{source_language}.gz", f"{part}.{target_language}.gz")
        for part in ("train", "val", test)
    ]
    paths = resolve("multi30k", only=[name for pair in names for name in pair])
    return readers.read_multi30k([(paths[source], paths[target]) for source, target in names])


def _load_or_standin(
    name: str, load: Callable[[], CorpusData], make_standin: Callable[[], CorpusData]
) -> tuple[CorpusData, CorpusOrigin]:
    """Return the real corpus, or a stand-in, announced in one line, if no server answers."""
    try:
        return load(), "real"
    except NoNetwork as error:
        safe_print(
            f"Using a STAND-IN for {name}, not the real corpus: {error}. To get the real one, "
            f"{error.remedy}."
        )
    return make_standin(), "stand-in"
