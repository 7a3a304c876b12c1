"""Readers of the published file formats of each corpus.

``utils.data.corpora`` finds or downloads the files, and calls these functions with their paths. The
functions of ``utils.data.standins`` return data of the same types.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import wave
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np

from utils.data.errors import DataError
from utils.data.examples import Clip, Example, ExampleSplits, LabelledReview, Language, SentencePair


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 unchanged, line ends included."""
    return _decode(path, "utf-8")


def read_multi30k(paths: Sequence[tuple[Path, Path]]) -> ExampleSplits[SentencePair]:
    """Read the published splits of multi30k.

    Parameters
    ----------
    paths
        For training, validation and test the file of the source language and the file of the target
        language, aligned line by line.

    Returns
    -------
    train, valid, test : list of tuple of str and str
        The (source, target) sentences.

    Raises
    ------
    ValueError
        If two aligned files differ in their number of lines.
    """
    train, valid, test = (_read_parallel_lines(source, target) for source, target in paths)
    return train, valid, test


def read_tatoeba(path: Path, source_language: Language) -> ExampleSplits[SentencePair]:
    """Read tatoeba's pairs of English and Chinese sentences, split 90 : 5 : 5.

    Pairs whose English sentences differ only in capitals and punctuation stay in one split.

    Parameters
    ----------
    path
        The file, with an English and a Chinese sentence in each line.
    source_language
        "en" or "zh"; the other one is the target language.

    Returns
    -------
    train, valid, test : list of tuple of str and str
        The (source, target) sentences.
    """
    rows = [line.split("\t")[:2] for line in read_text(path).split("\n") if line]
    pairs = [(english.strip(), chinese.strip()) for english, chinese in rows]

    def normalized_english(pair: SentencePair) -> str:
        return re.sub(r"\W+", " ", pair[0]).strip().casefold()

    train, valid, test = _split(pairs, normalized_english, fractions=(0.9, 0.05))
    if source_language == "zh":
        return _swapped(train), _swapped(valid), _swapped(test)
    return train, valid, test


def read_reviews(positive: Path, negative: Path) -> ExampleSplits[LabelledReview]:
    """Read the film reviews, split 80 : 10 : 10; repeats of a sentence stay in one split.

    Parameters
    ----------
    positive, negative
        The files of the positive and of the negative sentences, one in each line.

    Returns
    -------
    train, valid, test : list of tuple of str and int
        The sentences and their labels, 1 for positive and 0 for negative.
    """
    reviews = [
        (line.strip(), label)
        for label, path in ((1, positive), (0, negative))
        for line in _decode(path, "cp1252").split("\n")
        if line.strip()
    ]
    return _split(reviews, lambda review: review[0], fractions=(0.8, 0.1))


def read_digits(path: Path) -> list[Clip]:
    """Return all recordings of an archive of spoken digits, sorted by file name.

    Raises
    ------
    DataError
        If the file cannot be read as a tar archive.
    """
    return [_parse_clip(name, wav) for name, wav in sorted(read_wav_archive(path).items())]


def read_wav_archive(path: Path) -> dict[str, bytes]:
    """Read the wav files of a tar archive.

    Returns
    -------
    recordings : dict of str to bytes
        The content of each file by its name, without folders.

    Raises
    ------
    DataError
        If the file cannot be read as a tar archive.
    """
    recordings = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".wav"):
                    file = archive.extractfile(member)
                    assert file is not None, "a regular file of an archive can be opened"
                    recordings[Path(member.name).name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}") from error
    return recordings


def _decode(path: Path, encoding: str) -> str:
    """Return the text of a file unchanged, line ends included."""
    return path.read_bytes().decode(encoding)


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a gzipped text."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _read_parallel_lines(source: Path, target: Path) -> list[SentencePair]:
    """Pair the lines of two gzipped texts; raise ValueError if their numbers differ."""
    sources, targets = _read_lines(source), _read_lines(target)
    if len(sources) != len(targets):
        raise ValueError(
            f"{source.name} and {target.name} must be aligned, but have {len(sources)} and "
            f"{len(targets)} lines"
        )
    return list(zip(sources, targets, strict=True))


def _swapped(pairs: list[SentencePair]) -> list[SentencePair]:
    """Return the pairs in the other direction of translation."""
    return [(target, source) for source, target in pairs]


def _parse_clip(name: str, content: bytes) -> Clip:
    """Decode a 16-bit mono wav file named DIGIT_SPEAKER_TAKE.wav."""
    digit, speaker, take = name.removesuffix(".wav").split("_")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), f"{name} is not 16-bit mono"
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    return Clip((samples / 32768).astype(np.float32), rate, int(digit), speaker, int(take))


def _split(
    items: Sequence[Example], key: Callable[[Example], Hashable], *, fractions: tuple[float, float]
) -> ExampleSplits[Example]:
    """Shuffle and split: `fractions` of the distinct keys for train and valid, the rest for test.

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
