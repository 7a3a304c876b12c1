"""Readers of the published files of each corpus, called by ``utils.data.corpora`` alone.

Each function gets its files from ``utils.data.download.resolve``, and raises what that raises. The
functions of ``utils.data.standins`` return data of the same types.
"""

from __future__ import annotations

import gzip
import io
import re
import wave
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np

from utils.data.download import resolve
from utils.data.examples import Clip, Example, LabelledReview, SentencePair, Splits
from utils.data.registry import read_wav_archive


def read_text() -> str:
    """Return the text of tiny_shakespeare."""
    return _read(resolve("tiny_shakespeare")["input.txt"])


def read_multi30k(source: str, target: str, *, test: str) -> Splits[SentencePair]:
    """Return the published splits of multi30k, lists of (source sentence, target sentence).

    Parameters
    ----------
    source, target
        The two languages: "de", "en" or "fr".
    test
        Which of the test sets to read.

    Returns
    -------
    tuple of three lists
        The pairs for training, validation and test.
    """
    parts = ("train", "val", test)
    names = [f"{part}.{language}.gz" for part in parts for language in (source, target)]
    lines = {name: _lines(path) for name, path in resolve("multi30k", only=names).items()}
    train, valid, tests = (
        list(zip(lines[f"{part}.{source}.gz"], lines[f"{part}.{target}.gz"], strict=True))
        for part in parts
    )
    return train, valid, tests


def read_tatoeba(source: str) -> Splits[SentencePair]:
    """Return tatoeba's pairs of "en" and "zh" from the language `source`, split 90 : 5 : 5.

    Pairs whose English sentences differ in capitals and punctuation alone stay in one split.
    """
    text = _read(resolve("tatoeba")["cmn.txt"])
    rows = [line.split("\t")[:2] for line in text.split("\n") if line]
    pairs = [(english.strip(), chinese.strip()) for english, chinese in rows]

    def normalized_english(pair: SentencePair) -> str:
        return re.sub(r"\W+", " ", pair[0]).strip().casefold()

    train, valid, test = _split(pairs, normalized_english, fractions=(0.9, 0.05))
    if source == "zh":
        return _swapped(train), _swapped(valid), _swapped(test)
    return train, valid, test


def read_reviews() -> Splits[LabelledReview]:
    """Return (sentence, 1 for praise or 0) of the film reviews, split 80 : 10 : 10.

    A sentence that occurs twice stays in one split.
    """
    paths = resolve("movie_reviews")
    reviews = [
        (line.strip(), label)
        for label, file in ((1, "rt-polarity.pos"), (0, "rt-polarity.neg"))
        for line in _read(paths[file], "cp1252").split("\n")
        if line.strip()
    ]
    return _split(reviews, lambda review: review[0], fractions=(0.8, 0.1))


def read_digits() -> list[Clip]:
    """Return all recordings of spoken digits, sorted by file name."""
    (path,) = resolve("spoken_digits").values()
    return [_read_clip(name, wav) for name, wav in sorted(read_wav_archive(path).items())]


def _read(path: Path, encoding: str = "utf-8") -> str:
    """Return a file's text as it is, line ends included."""
    return path.read_bytes().decode(encoding)


def _lines(path: Path) -> list[str]:
    """Return the lines of a gzipped text."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _swapped(pairs: list[SentencePair]) -> list[SentencePair]:
    """Return the pairs in the other direction of translation."""
    return [(target, source) for source, target in pairs]


def _read_clip(name: str, content: bytes) -> Clip:
    """Decode a 16-bit mono wav file named DIGIT_SPEAKER_TAKE.wav."""
    digit, speaker, take = name.removesuffix(".wav").split("_")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), f"{name} is not 16-bit mono"
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    return Clip((samples / 32768).astype(np.float32), rate, int(digit), speaker, int(take))


def _split(
    items: Sequence[Example], key: Callable[[Example], Hashable], *, fractions: tuple[float, float]
) -> Splits[Example]:
    """Shuffle and cut into train and valid, with these `fractions` of the different keys, and test.

    Items with equal keys stay together.
    """
    groups: dict[Hashable, list[Example]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    keys = list(groups)
    order = np.random.default_rng(0).permutation(len(keys))
    first, second = round(fractions[0] * len(keys)), round(sum(fractions) * len(keys))
    train, valid, test = (
        [item for i in part for item in groups[keys[i]]]
        for part in (order[:first], order[first:second], order[second:])
    )
    return train, valid, test
