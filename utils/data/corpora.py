"""`Corpus`, and loaders of the corpora of the book, in training, validation and test splits.

A loader returns the real corpus if its files are on this machine or can be downloaded
(``utils.data.download``). If no server answers, it generates a stand-in (``utils.data.standins``)
and prints one line about it; `Corpus.origin` is "real" or "stand-in".

The film reviews are those of Pang and Lee 2005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

from utils.arguments import check_choice
from utils.console import safe_print
from utils.data import corpus_formats
from utils.data.download import corpus_files
from utils.data.errors import NoNetwork
from utils.data.examples import Clip, ExampleSplits, LabelledReview, Language, SentencePair
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

CorpusOrigin: TypeAlias = Literal["real", "stand-in"]
Split = TypeVar("Split", str, list[SentencePair], list[LabelledReview], list[Clip])
CorpusData = TypeVar("CorpusData")


@dataclass(frozen=True)
class Corpus(Generic[Split]):
    """A corpus in three splits, each a text or a list of examples.

    Parameters
    ----------
    name
        The name of the corpus.
    origin
        "real", or "stand-in" if the real corpus was unavailable.
    train, valid, test
        The splits for training, for choosing between models, and for the final result.
    """

    name: str
    origin: CorpusOrigin
    train: Split
    valid: Split
    test: Split

    @property
    def all(self) -> Split:
        """The three splits joined, in order: for cross-validation."""
        return self.train + self.valid + self.test


def load_text(name: TextCorpusName = "tiny_shakespeare") -> Corpus[str]:
    """Load a running text.

    Parameters
    ----------
    name
        Name of the corpus; "tiny_shakespeare" is the only one.

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
    check_choice(get_args(TextCorpusName), name=name)
    text, origin = _load_or_standin(
        name, lambda: corpus_formats.read_text(corpus_files(name)["input.txt"]), make_text
    )
    return split_text(name, origin, text)


def split_text(name: str, origin: CorpusOrigin, text: str) -> Corpus[str]:
    """Make a corpus from any running text, split as in `load_text`."""
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
        one; its English sentences are in no other split, even with other capitals or punctuation.

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
    check_choice(CORPUS_LANGUAGES, name=name)
    check_choice(
        CORPUS_LANGUAGES[name], source_language=source_language, target_language=target_language
    )
    if source_language == target_language:
        raise ValueError(
            f"source_language and target_language are both {source_language!r}; "
            f"{name} has {', '.join(CORPUS_LANGUAGES[name])}"
        )
    check_choice(get_args(Multi30kTest), test=test)

    def load() -> ExampleSplits[SentencePair]:
        if name == "multi30k":
            return _load_multi30k(source_language, target_language, test)
        return corpus_formats.read_tatoeba(corpus_files(name)["cmn.txt"], source_language)

    splits, origin = _load_or_standin(
        name, load, lambda: make_pairs(source_language, target_language)
    )
    return Corpus(name, origin, *splits)


def load_reviews() -> Corpus[list[LabelledReview]]:
    """Load sentences from film reviews, each labelled with its sentiment.

    Returns
    -------
    corpus : Corpus
        Each split is a list of (sentence, label), with label 1 for positive and 0 for negative. The
        splits are 80 %, 10 % and 10 % of the sentences, always shuffled in the same way; the
        repeats of a sentence stay in one split.

    Raises
    ------
    DataError
        If a file or a server's response is not the expected one.
    """

    def load() -> ExampleSplits[LabelledReview]:
        paths = corpus_files("movie_reviews")
        return corpus_formats.read_reviews(paths["rt-polarity.pos"], paths["rt-polarity.neg"])

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
        (path,) = corpus_files("spoken_digits").values()
        return corpus_formats.read_digits(path)

    clips, origin = _load_or_standin("spoken_digits", load, make_digits)
    tenth = (max(clip.take for clip in clips) + 1) // 10
    test = [clip for clip in clips if clip.take < tenth]
    valid = [clip for clip in clips if tenth <= clip.take < 2 * tenth]
    train = [clip for clip in clips if clip.take >= 2 * tenth]
    return Corpus("spoken_digits", origin, train, valid, test)


def _load_multi30k(
    source_language: Language, target_language: Language, test: Multi30kTest
) -> ExampleSplits[SentencePair]:
    """Read the files of multi30k for two languages and a test set."""
    names = [
        (f"{part}.{source_language}.gz", f"{part}.{target_language}.gz")
        for part in ("train", "val", test)
    ]
    paths = corpus_files("multi30k", only=[name for pair in names for name in pair])
    return corpus_formats.read_multi30k(
        [(paths[source], paths[target]) for source, target in names]
    )


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
