"""Corpora by name and their splits (and, from ``utils.batches``, batches of ids).

Used from section 2.1 on. Each loader gives the real corpus where it can be had (a folder named by
$LLM_BOOK_DATA, the user's cache, a checked download) and says so in `Corpus.origin`; without a
network it gives a stand-in made on the spot (``utils.standins``) and prints one line about it.
"""

from __future__ import annotations

import gzip
import io
import re
import wave
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from utils import fetch, standins
from utils.batches import (
    IGNORE,
    Batch,
    PairBatches,
    TextBatches,
    encode_pairs,
    length_groups,
    pad,
    padding_mask,
    pair_batch,
    pair_eval_batches,
    text_eval_batches,
)
from utils.fetch import DataError, NoNetwork

__all__ = [
    "IGNORE", "Batch", "Clip", "Corpus", "DataError", "PairBatches", "TextBatches",
    "encode_pairs", "files", "length_groups", "load_digits", "load_pairs", "load_reviews",
    "load_text", "pad", "padding_mask", "pair_batch", "pair_eval_batches", "split_text",
    "text_eval_batches",
]  # fmt: skip

Pair = tuple[str, str]
LANGUAGES = {"multi30k": ("de", "en", "fr"), "tatoeba": ("en", "zh")}
TESTS = ("test_2016_flickr", "test_2017_flickr")


@dataclass(frozen=True)
class Corpus:
    """A corpus in three splits: learn from `train`, choose on `valid`, touch `test` once."""

    name: str
    origin: Literal["real", "stand-in"]
    train: Any
    valid: Any
    test: Any

    @property
    def all(self) -> Any:
        """The three splits joined, in order: for cross-validation."""
        return self.train + self.valid + self.test


class Clip(NamedTuple):
    """One spoken digit: `samples` float32 in [−1, 1], `rate` in samples a second."""

    samples: np.ndarray
    rate: int
    digit: int
    speaker: str
    take: int


def files(name: str) -> dict[str, Path]:
    """Paths of a corpus' files by file name, downloaded where needed, each one checked.

    Raises ValueError for an unknown corpus; DataError where a file cannot be had or is wrong
    (its subclass NoNetwork where no server answered: there is no stand-in for a file).
    """
    return fetch.resolve(name)


def load_text(name: str = "tiny_shakespeare") -> Corpus:
    """A running text; each split is a string: first 90 %, next 5 %, last 5 % of the characters."""
    _one_of("text corpus", name, ["tiny_shakespeare"])

    def real() -> str:
        return fetch.resolve(name)["input.txt"].read_bytes().decode("utf-8")

    text, origin = _real_or_standin(name, real, standins.text)
    return split_text(name, origin, text)


def split_text(name: str, origin: Literal["real", "stand-in"], text: str) -> Corpus:
    """Any running text as a Corpus, cut as in `load_text`."""
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return Corpus(name, origin, text[:first], text[first:second], text[second:])


def load_pairs(
    name: str = "multi30k", source: str = "de", target: str = "en", test: str = "test_2016_flickr"
) -> Corpus:
    """Sentence pairs; each split is a list of (source sentence, target sentence).

    `name`: multi30k (de, en, fr; image captions) or tatoeba (en, zh; everyday sentences). `test`
    picks one of multi30k's two test sets; tatoeba has one, and no English sentence of it, whatever
    its capitals and punctuation, stands in another split.
    Raises ValueError naming the valid choices.
    """
    _one_of("corpus of sentence pairs", name, list(LANGUAGES))
    for language in (source, target):
        _one_of(f"language of {name}", language, LANGUAGES[name])
    if source == target:
        raise ValueError(f"source and target are both {source!r}; {name} has {LANGUAGES[name]}")
    _one_of("test split", test, TESTS)

    def real() -> tuple[list[Pair], list[Pair], list[Pair]]:
        return _multi30k(source, target, test) if name == "multi30k" else _tatoeba(source)

    splits, origin = _real_or_standin(name, real, lambda: standins.pairs(source, target))
    return Corpus(name, origin, *splits)


def load_reviews() -> Corpus:
    """Sentences of film reviews; each split is a list of (sentence, 1 for praise or 0).

    80/10/10 by a fixed shuffle, a sentence that occurs twice staying in one split; `Corpus.all` has
    everything for cross-validation (Pang and Lee 2005).
    """

    def real() -> tuple[list, list, list]:
        found = fetch.resolve("movie_reviews")
        labelled = [
            (line.strip(), label)
            for label, file in ((1, "rt-polarity.pos"), (0, "rt-polarity.neg"))
            for line in found[file].read_bytes().decode("cp1252").split("\n")
            if line.strip()
        ]
        return _split(labelled, lambda pair: pair[0], (0.8, 0.1))

    splits, origin = _real_or_standin("movie_reviews", real, standins.reviews)
    return Corpus("movie_reviews", origin, *splits)


def load_digits() -> Corpus:
    """Spoken digits; each split is a list of Clip.

    Of each speaker's takes of each digit, the first tenth is the test set (as published), the
    second tenth validates, and the rest trains.
    """

    def real() -> list[Clip]:
        (path,) = fetch.resolve("spoken_digits").values()
        return [_clip(name, content) for name, content in sorted(fetch.read_wavs(path).items())]

    def standin() -> list[Clip]:
        return [Clip(*clip) for clip in standins.digits()]

    clips, origin = _real_or_standin("spoken_digits", real, standin)
    tenth = (max(clip.take for clip in clips) + 1) // 10
    test = [clip for clip in clips if clip.take < tenth]
    valid = [clip for clip in clips if tenth <= clip.take < 2 * tenth]
    train = [clip for clip in clips if clip.take >= 2 * tenth]
    return Corpus("spoken_digits", origin, train, valid, test)


def _one_of(what: str, choice: str, valid: Sequence[str]) -> None:
    if choice not in valid:
        raise ValueError(f"unknown {what} {choice!r}; choose from {', '.join(valid)}")


def _real_or_standin(name: str, real: Callable[[], Any], standin: Callable[[], Any]) -> Any:
    """(the real thing, "real"), or, where no server answers, (the stand-in, "stand-in")."""
    try:
        return real(), "real"
    except NoNetwork as reason:
        print(
            f"Using a STAND-IN for {name}, not the real corpus: {reason}. To get the real one, "
            f"{reason.remedy}."
        )
    return standin(), "stand-in"


def _multi30k(source: str, target: str, test: str) -> tuple[list[Pair], list[Pair], list[Pair]]:
    def lines(path: Path) -> list[str]:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        return [line.strip() for line in text.removesuffix("\n").split("\n")]

    names = [f"{split}.{lang}.gz" for split in ("train", "val", test) for lang in (source, target)]
    found = [lines(path) for path in fetch.resolve("multi30k", names).values()]
    train, valid, tests = (
        list(zip(left, right, strict=True))
        for left, right in zip(found[::2], found[1::2], strict=True)
    )
    return train, valid, tests


def _tatoeba(source: str) -> tuple[list[Pair], list[Pair], list[Pair]]:
    text = fetch.resolve("tatoeba")["cmn.txt"].read_bytes().decode("utf-8")
    rows = [line.split("\t")[:2] for line in text.split("\n") if line]
    pairs = [(english.strip(), chinese.strip()) for english, chinese in rows]

    def key(pair: Pair) -> str:
        return re.sub(r"\W+", " ", pair[0]).strip().casefold()

    splits = _split(pairs, key, (0.9, 0.05))
    if source == "zh":
        splits = tuple([(chinese, english) for english, chinese in split] for split in splits)
    return splits


def _split(
    items: list, key: Callable[[Any], str], parts: tuple[float, float], seed: int = 0
) -> tuple[list, list, list]:
    """Shuffle and cut; items with the same key stay in the same split. Parts count keys."""
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    keys = list(groups)
    order = np.random.default_rng(seed).permutation(len(keys))
    first, second = round(parts[0] * len(keys)), round(sum(parts) * len(keys))
    ranges = (order[:first], order[first:second], order[second:])
    train, valid, test = ([item for k in r for item in groups[keys[k]]] for r in ranges)
    return train, valid, test


def _clip(name: str, content: bytes) -> Clip:
    """A 16-bit mono wav named DIGIT_SPEAKER_TAKE.wav."""
    digit, speaker, take = name.removesuffix(".wav").split("_")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), f"{name} is not 16-bit mono"
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    return Clip((samples / 32768).astype(np.float32), rate, int(digit), speaker, int(take))
