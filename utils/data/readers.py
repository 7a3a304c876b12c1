"""Readers of the published files of each corpus, and of a text file of one's own.

``utils.data.corpora`` has the published files found or downloaded, and calls these functions with
their paths. The functions of ``utils.data.standins`` return data of the same types.
"""

from __future__ import annotations

import codecs
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

from utils.data.corpus import (
    Clip,
    DataError,
    Example,
    ExampleSplits,
    LabelledReview,
    Language,
    SentencePair,
)

# The first bytes of a file that say its encoding; those of UTF-32 begin like those of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_own_text(path: Path) -> str:
    """Read a text file that somebody else has made, on any system.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    text : str
        Its text without a byte order mark; every line ends with a newline character alone.

    Raises
    ------
    ValueError
        If it is no file, cannot be read, is empty, or is no text in UTF-8, or in the encoding that
        its byte order mark tells.
    """
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "none"
            raise ValueError(f"file: expected a text, found {found} at {path}")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"file: {path} cannot be read ({error.strerror})") from error
    text = _decode_own_text(path, content)
    if not text.strip():
        raise ValueError(f"file: expected a text, but {path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode_own_text(path: Path, content: bytes) -> str:
    """Decode the content of a file by its byte order mark, or as UTF-8; refuse what is no text."""
    marks = (name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark))
    encoding = next(marks, "utf-8")
    try:
        text = content.decode(encoding)
        position = text.find("\0")
        problem = f"the NUL character at position {position}" if position >= 0 else None
    except UnicodeDecodeError as error:
        byte = content[error.start : error.start + 1].hex()
        text, problem = "", f"the byte 0x{byte} at position {error.start}"
    if problem:
        encoding = encoding.removesuffix("-sig").upper()
        raise ValueError(
            f"file: {path} is no text in {encoding}: it has {problem}. Save it as UTF-8, for "
            "example in a text editor"
        )
    return text


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 as it is, line ends included."""
    return _decode(path, "utf-8")


def read_multi30k(paths: Sequence[tuple[Path, Path]]) -> ExampleSplits[SentencePair]:
    """Read the published splits of multi30k.

    Parameters
    ----------
    paths
        For training, validation and test the file of the source language and the file of the target
        language, whose lines belong together.

    Returns
    -------
    train, valid, test : list of tuple of str and str
        The (source, target) sentences.

    Raises
    ------
    ValueError
        If two files that belong together differ in their number of lines.
    """
    train, valid, test = (_read_parallel_lines(source, target) for source, target in paths)
    return train, valid, test


def read_tatoeba(path: Path, source_language: Language) -> ExampleSplits[SentencePair]:
    """Read tatoeba's pairs of English and Chinese sentences, split 90 : 5 : 5.

    Pairs whose English sentences differ in capitals and punctuation alone stay in one split.

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


def read_reviews(praise: Path, blame: Path) -> ExampleSplits[LabelledReview]:
    """Read the film reviews, split 80 : 10 : 10; a sentence that occurs twice stays in one split.

    Parameters
    ----------
    praise, blame
        The files of the sentences that praise and of those that blame, one in each line.

    Returns
    -------
    train, valid, test : list of tuple of str and int
        The sentences and their labels, 1 for praise and 0 for blame.
    """
    reviews = [
        (line.strip(), label)
        for label, path in ((1, praise), (0, blame))
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
    """Return a file's text as it is, line ends included."""
    return path.read_bytes().decode(encoding)


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a gzipped text."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _read_parallel_lines(source: Path, target: Path) -> list[SentencePair]:
    """Pair the lines of two gzipped texts; raise ValueError if there are not equally many."""
    sources, targets = _read_lines(source), _read_lines(target)
    if len(sources) != len(targets):
        raise ValueError(
            f"{source.name} and {target.name} belong together, but have {len(sources)} and "
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
