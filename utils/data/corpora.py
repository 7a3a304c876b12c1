"""The corpora of the book by name, each in a training, validation and test split.

A loader gives the real corpus if its files are on this machine or can be
downloaded (``utils.data.download``). If no server answers, it gives a stand-in made on the spot
(``utils.data.standins``) and prints one line about it; `Corpus.origin` says which of the two it is.

The film reviews are those of Pang and Lee 2005.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar

from utils.data import readers, standins
from utils.data.download import NoNetwork, resolve
from utils.data.examples import Clip, LabelledReview, SentencePair, Splits

LANGUAGES = {"multi30k": ("de", "en", "fr"), "tatoeba": ("en", "zh")}  # of each corpus of pairs
MULTI30K_TESTS = ("test_2016_flickr", "test_2017_flickr")

Origin: TypeAlias = Literal["real", "stand-in"]
Split = TypeVar("Split", str, list[SentencePair], list[LabelledReview], list[Clip])
Content = TypeVar("Content")


@dataclass(frozen=True)
class Corpus(Generic[Split]):
    """A corpus in three splits, each a text or a list of examples.

    Parameters
    ----------
    name
        The name of the corpus.
    origin
        "real", or "stand-in" if the real corpus could not be had.
    train
        For training.
    valid
        For choosing between models.
    test
        For the final result, to be used once.
    """

    name: str
    origin: Origin
    train: Split
    valid: Split
    test: Split

    @property
    def all(self) -> Split:
        """The three splits joined, in order: for cross-validation."""
        return self.train + self.valid + self.test


def corpus_files(name: str) -> dict[str, Path]:
    """Return the paths of the files of a corpus by file name, downloaded if needed, and checked.

    Raises
    ------
    ValueError
        If there is no such corpus.
    DataError
        If a file cannot be had or is not the expected one (NoNetwork if no server answered: there
        is no stand-in for a file).
    """
    return resolve(name)


def load_text(name: str = "tiny_shakespeare") -> Corpus[str]:
    """Load a running text.

    Parameters
    ----------
    name
        "tiny_shakespeare" is the only one.

    Returns
    -------
    Corpus
        Each split is a string: the first 90 %, the next 5 % and the last 5 % of the characters.

    Raises
    ------
    ValueError
        If there is no such corpus.
    """
    _check_choice("text corpus", name, ("tiny_shakespeare",))
    text, origin = _load_or_standin(name, readers.read_text, standins.text)
    return split_text(name, origin, text)


def split_text(name: str, origin: Origin, text: str) -> Corpus[str]:
    """Make a Corpus of any running text, split as in `load_text`.

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
    Corpus
        Its three splits.
    """
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return Corpus(name, origin, text[:first], text[first:second], text[second:])


def load_pairs(
    name: str = "multi30k",
    *,
    source: str = "de",
    target: str = "en",
    test: str = "test_2016_flickr",
) -> Corpus[list[SentencePair]]:
    """Load sentence pairs for translation.

    Parameters
    ----------
    name
        "multi30k" (captions of images) or "tatoeba" (everyday sentences).
    source
        The language to translate from: "de", "en" or "fr" of multi30k, "en" or "zh" of tatoeba.
    target
        The language to translate into, another one of these.
    test
        Which of multi30k's test sets to use: "test_2016_flickr" or "test_2017_flickr". Tatoeba has
        one; no English sentence of it is in another split, even with other capitals or punctuation.

    Returns
    -------
    Corpus
        Each split is a list of (source sentence, target sentence).

    Raises
    ------
    ValueError
        If a name is not one of the choices, or both languages are the same.
    """
    _check_choice("corpus of sentence pairs", name, tuple(LANGUAGES))
    for language in (source, target):
        _check_choice(f"language of {name}", language, LANGUAGES[name])
    if source == target:
        raise ValueError(f"source and target are both {source!r}; {name} has {LANGUAGES[name]}")
    _check_choice("test split", test, MULTI30K_TESTS)

    def load() -> Splits[SentencePair]:
        if name == "multi30k":
            return readers.read_multi30k(source, target, test=test)
        return readers.read_tatoeba(source)

    splits, origin = _load_or_standin(name, load, lambda: standins.pairs(source, target))
    return Corpus(name, origin, *splits)


def load_reviews() -> Corpus[list[LabelledReview]]:
    """Load sentences from film reviews, each with the opinion that it expresses.

    Returns
    -------
    Corpus
        Each split is a list of (sentence, label), the label 1 for praise and 0 for blame. The
        splits are 80 %, 10 % and 10 % of the sentences, always shuffled alike; a sentence that
        occurs twice stays in one split.
    """
    splits, origin = _load_or_standin("movie_reviews", readers.read_reviews, standins.reviews)
    return Corpus("movie_reviews", origin, *splits)


def load_digits() -> Corpus[list[Clip]]:
    """Load recordings of spoken digits.

    Returns
    -------
    Corpus
        Each split is a list of Clip. Of the takes of each digit by each speaker, the first tenth is
        the test set (as published), the second tenth the validation set, the rest is for training.
    """
    clips, origin = _load_or_standin("spoken_digits", readers.read_digits, standins.digits)
    tenth = (max(clip.take for clip in clips) + 1) // 10
    test = [clip for clip in clips if clip.take < tenth]
    valid = [clip for clip in clips if tenth <= clip.take < 2 * tenth]
    train = [clip for clip in clips if clip.take >= 2 * tenth]
    return Corpus("spoken_digits", origin, train, valid, test)


def _check_choice(name: str, choice: str, valid: Sequence[str]) -> None:
    """Raise ValueError, naming the choices, if `choice` is not one of them."""
    if choice not in valid:
        raise ValueError(f"unknown {name} {choice!r}; choose from {', '.join(valid)}")


def _load_or_standin(
    name: str, load: Callable[[], Content], make_standin: Callable[[], Content]
) -> tuple[Content, Origin]:
    """Return the real content, or a stand-in, announced in one line, if no server answers."""
    try:
        return load(), "real"
    except NoNetwork as error:
        print(
            f"Using a STAND-IN for {name}, not the real corpus: {error}. To get the real one, "
            f"{error.remedy}."
        )
    return make_standin(), "stand-in"
