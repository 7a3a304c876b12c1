"""Stand-ins for the corpora, made on any machine without a network.

Text is the Python manual's; sentence pairs come from a synchronous grammar (``utils.grammar``),
opinions from a smaller one, and spoken digits from the speech synthesiser eSpeak NG. Each gives a
model something real to learn, and none is a corpus to report figures on.
"""

from __future__ import annotations

import ctypes
import math
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pydoc_data import topics

import espeakng_loader
import numpy as np

from utils.grammar import Speaker
from utils.languages import say

RATE = 8000  # samples a second, as in the real recordings
SPEAKERS = {  # name → eSpeak voice, base pitch (0–99)
    "anna": ("en-us+f2", 55),
    "bella": ("en-gb-x-rp+f4", 70),
    "carl": ("en-us+m3", 35),
    "david": ("en-gb-x-rp+m1", 50),
    "ewan": ("en-gb-scotland+m7", 40),
    "fiona": ("en-gb-scotland+f3", 60),
}
DIGITS = "zero one two three four five six seven eight nine".split()
TAKES = 50  # of each digit by each speaker
LONGEST_PATH = 120  # characters; eSpeak NG has a fixed buffer of 160 for a file's whole path
VOICE_DATA = ("phondata", "phonindex", "phontab", "intonations", "en_dict", "lang/gmw", "voices/!v")


def text() -> str:
    """The topics of Python's own manual as one text, each paragraph once."""
    paragraphs = "\n\n".join(topics.topics[name] for name in sorted(topics.topics)).split("\n\n")
    return "\n\n".join(dict.fromkeys(p.strip("\n") for p in paragraphs if p.strip())) + "\n"


def pairs(
    source: str, target: str, sizes: tuple[int, int, int] = (18000, 1000, 1000), seed: int = 0
) -> tuple[list[tuple[str, str]], ...]:
    """Train, valid and test pairs in which no source and no target sentence comes twice."""
    speaker, seen = Speaker(seed), (set(), set())
    found: list[tuple[str, str]] = []
    while len(found) < sum(sizes):
        meaning = speaker.sentence()
        pair = (say(meaning, source), say(meaning, target))
        if pair[0] not in seen[0] and pair[1] not in seen[1]:
            found.append(pair)
            for side, sentence in zip(seen, pair, strict=True):
                side.add(sentence)
    first, second = sizes[0], sizes[0] + sizes[1]
    return found[:first], found[first:second], found[second:]


ASPECTS = "acting plot music dialogue ending story cast direction humour romance".split()
PRAISE = """
charming clever moving funny lively beautiful gripping tender honest warm wonderful witty elegant
thrilling subtle superb original touching vivid radiant graceful delightful absorbing inventive
masterful dazzling poignant sincere captivating joyous magical uplifting ingenious flawless
""".split()
BLAME = """
boring silly clumsy shallow dull tedious messy stale predictable awful lifeless tired bland
pointless hollow dreary confusing pretentious sloppy contrived tasteless plodding incoherent feeble
murky insipid laboured grating wooden lazy soulless incompetent obnoxious dismal
""".split()
HELD_OUT = 6  # the last of each list never come up in training
OPENINGS = ["", "", "in the end , ", "for a comedy , ", "on the whole , ", "to my surprise , "]
DEGREES = ["", "", "very ", "quite ", "rather ", "truly "]
Opinions = list[tuple[str, int]]


def reviews(
    sizes: tuple[int, int, int] = (4800, 600, 600), seed: int = 0, noise: float = 0.05
) -> tuple[Opinions, ...]:
    """Train, valid and test lists of (opinion, 1 for praise or 0), no opinion twice.

    Of two contrasted clauses the one that has the last word counts. A twentieth of the adjectives
    in valid and test never occur in train; `noise` is the share of labels turned round everywhere.
    """
    draw, seen = random.Random(seed), set()
    splits: tuple[Opinions, ...] = ([], [], [])
    for split, size, unknown in zip(splits, sizes, (0.0, 0.05, 0.05), strict=True):
        while len(split) < size:
            label = int(draw.random() < 0.5)
            sentence = _opinion(draw, label, unknown)
            if sentence not in seen:
                seen.add(sentence)
                split.append((sentence, label if draw.random() >= noise else 1 - label))
    return splits


def _opinion(draw: random.Random, label: int, unknown: float) -> str:
    """A sentence that praises (label 1) or blames (0)."""
    opening, form = _pick(draw, OPENINGS), draw.random()
    aspect, another = _pick(draw, ASPECTS), _pick(draw, ASPECTS)
    main = _judgement(draw, aspect, label, unknown)
    if form < 0.3 or aspect == another:
        return f"{opening}{main} ."
    second = label if form < 0.5 else 1 - label
    other = _judgement(draw, another, second, unknown)
    if form < 0.5:
        return f"{opening}{main} and {other} ."
    if form < 0.75:
        return f"{opening}{other} , but {main} ."
    return f"{opening}although {other} , {main} ."


def _judgement(draw: random.Random, aspect: str, label: int, unknown: float) -> str:
    """A clause; three in ten deny the opposite."""
    form = draw.random()
    same, opposite = (_adjective(draw, side, unknown) for side in (label, 1 - label))
    if form < 0.15:
        return f"the {aspect} is not {_pick(draw, ['', '', 'very ', 'truly '])}{opposite}"
    if form < 0.3:
        return f"there is nothing {opposite} about the {aspect}"
    if form < 0.45:
        return f"the {aspect} could hardly be more {same}"
    return f"the {aspect} is {_pick(draw, DEGREES)}{same}"


def _adjective(draw: random.Random, label: int, unknown: float) -> str:
    """By Zipf's law nearly: the r-th word has a probability in proportion to 1/r."""
    words = PRAISE if label else BLAME
    if draw.random() < unknown:
        return _pick(draw, words[-HELD_OUT:])
    return words[int((len(words) - HELD_OUT + 1) ** draw.random()) - 1]


def _pick(draw: random.Random, choices: list[str]) -> str:
    return choices[int(draw.random() * len(choices))]


def digits(takes: int = TAKES) -> list[tuple[np.ndarray, int, int, str, int]]:
    """(samples, rate, digit, speaker, take): each take has its own pitch, speed and loudness.

    `takes` of each digit by each speaker, 1 to 50.
    """
    if not 1 <= takes <= TAKES:
        raise ValueError(f"takes must be from 1 to {TAKES}; got {takes}")
    return [(samples.copy(), *rest) for samples, *rest in _all_digits() if rest[-1] < takes]


@cache  # once a process, all of them: what eSpeak NG says depends a little on what it said before
def _all_digits() -> list[tuple[np.ndarray, int, int, str, int]]:
    random_state = np.random.default_rng(0)
    clips = []
    with _espeak() as synthesise:
        for speaker, (voice, pitch) in SPEAKERS.items():
            for digit, word in enumerate(DIGITS):
                for take in range(TAKES):
                    change = int(random_state.integers(-12, 13))
                    speed = int(random_state.integers(120, 220))
                    sound = synthesise(word, voice, pitch + change, speed)
                    clips.append((_record(sound, random_state), RATE, digit, speaker, take))
    return clips


def speak(wanted: Sequence[tuple[str, str, int, int]]) -> list[np.ndarray]:
    """Samples at RATE of each (English text, eSpeak voice, pitch 0–99, words a minute)."""
    with _espeak() as synthesise:
        return [synthesise(*one).astype(np.float32) for one in wanted]


def _record(sound: np.ndarray, random_state: np.random.Generator) -> np.ndarray:
    """As through a microphone: loudness varies, and the room is not quite silent."""
    loudness = random_state.uniform(0.3, 0.9) / max(np.abs(sound).max(), 1e-9)
    room = random_state.normal(0, random_state.uniform(0.001, 0.005), len(sound))
    return np.clip(loudness * sound + room, -1, 1).astype(np.float32)


def _resample(sound: np.ndarray, old: int, new: int) -> np.ndarray:
    """Band-limited: the spectrum is cut at half the new rate."""
    block = old // math.gcd(old, new) * 16  # whole blocks: an exact ratio, and a fast transform
    size = -(-len(sound) // block) * block
    spectrum = np.fft.rfft(sound, size)  # padded with silence
    resampled = np.fft.irfft(spectrum[: size * new // old // 2 + 1], size * new // old) * new / old
    return resampled[: len(sound) * new // old]


@contextmanager
def _espeak() -> Iterator[Callable[[str, str, int, int], np.ndarray]]:
    """synthesise(word, voice, pitch, speed) → samples at RATE, while the synthesiser is running.

    Raises RuntimeError where eSpeak NG reports an error; it reports by return codes alone.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    pieces: list[np.ndarray] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def collect(samples, count, _events) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)) / 32768)
        return 0

    def synthesise(word: str, voice: str, pitch: int, speed: int) -> np.ndarray:
        pieces.clear()
        # every setting each time: all of them stay from one call to the next
        _succeed(library.espeak_SetVoiceByName(voice.encode()), f"finding the voice {voice}")
        _succeed(library.espeak_SetParameter(1, speed, 0), f"setting the speed {speed}")
        _succeed(library.espeak_SetParameter(3, pitch, 0), f"setting the pitch {pitch}")
        letters = word.encode()
        code = library.espeak_Synth(letters, len(letters) + 1, 0, 1, 0, 1, None, None)
        _succeed(code, f"speaking {word!r}")
        if not pieces:
            raise RuntimeError(f"eSpeak NG gave no sound for {word!r}")
        return _resample(np.concatenate(pieces), rate, RATE)

    with _short_path(Path(espeakng_loader.get_data_path())) as folder:
        # 2: hand over the samples, play nothing; 0x8000: report an error rather than exit
        rate = library.espeak_Initialize(2, 0, os.fsencode(folder), 0x8000)
        if rate <= 0:
            raise RuntimeError(f"eSpeak NG cannot start from its data in {folder} (code {rate})")
        try:
            _succeed(library.espeak_ng_SetRandSeed(1), "setting the seed")  # else the clock is it
            library.espeak_SetSynthCallback(collect)
            yield synthesise
        finally:
            library.espeak_Terminate()


def _succeed(code: int, doing: str) -> None:
    if code != 0:
        raise RuntimeError(f"eSpeak NG failed at {doing} (code {code})")


@contextmanager
def _short_path(folder: Path) -> Iterator[Path]:
    """`folder` itself, or a copy of what English needs in a temporary folder with a short name."""
    if len(os.fsencode(folder)) <= LONGEST_PATH:
        yield folder
        return
    with tempfile.TemporaryDirectory() as short:
        for part in VOICE_DATA:
            source, copy = folder / part, Path(short) / folder.name / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy)
        yield Path(short) / folder.name
