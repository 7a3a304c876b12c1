"""Stand-ins for the corpora, made on any machine without a network.

Text is the manual of Python; sentence pairs come from a synchronous grammar
(``utils.data.grammar``), reviews from a smaller one, and spoken digits from the synthesiser eSpeak
NG (``utils.data.espeak``). Each lets a model learn something real, and none is a corpus on which to
report results. ``utils.data.corpora`` returns them where the real corpus cannot be had.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pydoc_data import topics

import numpy as np

from utils.data.espeak import SAMPLE_RATE, Utterance, synthesizer
from utils.data.examples import Clip, LabelledReview, SentencePair, Splits
from utils.data.grammar import MeaningSampler
from utils.data.languages import realize

# the vocabulary of the reviews
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
HELD_OUT = 6  # the last words of PRAISE and of BLAME never occur in the training set
HELD_OUT_RATE = 0.05  # of the adjectives in the other sets, the proportion that is held out
OPENINGS = ["", "", "in the end , ", "for a comedy , ", "on the whole , ", "to my surprise , "]
DEGREES = ["", "", "very ", "quite ", "rather ", "truly "]
NEGATED_DEGREES = ["", "", "very ", "truly "]

# the spoken digits
DIGITS = "zero one two three four five six seven eight nine".split()
TAKES = 50  # of each digit by each speaker
SPEAKERS = {  # voice of eSpeak NG and base pitch
    "anna": ("en-us+f2", 55),
    "bella": ("en-gb-x-rp+f4", 70),
    "carl": ("en-us+m3", 35),
    "david": ("en-gb-x-rp+m1", 50),
    "ewan": ("en-gb-scotland+m7", 40),
    "fiona": ("en-gb-scotland+f3", 60),
}


def text() -> str:
    """Return the topics of Python's manual as one text, without repeated paragraphs."""
    paragraphs = "\n\n".join(topics.topics[name] for name in sorted(topics.topics)).split("\n\n")
    unique = dict.fromkeys(paragraph.strip("\n") for paragraph in paragraphs if paragraph.strip())
    return "\n\n".join(unique) + "\n"


def pairs(
    source: str, target: str, *, sizes: tuple[int, int, int] = (18000, 1000, 1000), seed: int = 0
) -> Splits[SentencePair]:
    """Make sentence pairs in which no source and no target sentence occurs twice.

    Parameters
    ----------
    source, target
        The two languages: "de", "en", "fr" or "zh".
    sizes
        The numbers of pairs for training, validation and test.
    seed
        The seed of the sampler of meanings.

    Returns
    -------
    tuple of three lists
        The (source, target) pairs for training, validation and test.
    """
    sampler = MeaningSampler(seed)
    sources: set[str] = set()
    targets: set[str] = set()
    unique: list[SentencePair] = []
    while len(unique) < sum(sizes):
        meaning = sampler.sentence()
        pair = realize(meaning, source), realize(meaning, target)
        if pair[0] not in sources and pair[1] not in targets:
            unique.append(pair)
            sources.add(pair[0])
            targets.add(pair[1])
    train_end, valid_end = sizes[0], sizes[0] + sizes[1]
    return unique[:train_end], unique[train_end:valid_end], unique[valid_end:]


def reviews(
    sizes: tuple[int, int, int] = (4800, 600, 600), *, seed: int = 0, noise: float = 0.05
) -> Splits[LabelledReview]:
    """Make short film reviews, none of them twice.

    If two clauses disagree, the label is that of the clause that carries the verdict, after "but"
    or outside "although". One adjective in twenty in the validation and test sets never occurs in
    the training set.

    Parameters
    ----------
    sizes
        The numbers of reviews for training, validation and test.
    seed
        The seed of the grammar's random choices.
    noise
        Label noise: the probability that a label is wrong, in all three sets.

    Returns
    -------
    tuple of three lists
        The pairs of a review and its label, 1 for praise and 0 for blame.
    """
    rng = random.Random(seed)
    distinct: set[str] = set()
    splits: Splits[LabelledReview] = ([], [], [])
    held_out_rates = 0.0, HELD_OUT_RATE, HELD_OUT_RATE
    for split, size, held_out_rate in zip(splits, sizes, held_out_rates, strict=True):
        while len(split) < size:
            label = int(rng.random() < 0.5)
            review = _review(rng, label, held_out_rate)
            if review not in distinct:
                distinct.add(review)
                split.append((review, label if rng.random() >= noise else 1 - label))
    return splits


def _review(rng: random.Random, label: int, held_out_rate: float) -> str:
    """Draw a review that praises (label 1) or blames (0), of one clause or two."""
    opening, form = _pick(rng, OPENINGS), rng.random()
    aspect, second_aspect = _pick(rng, ASPECTS), _pick(rng, ASPECTS)
    main = _judgement(rng, aspect, label, held_out_rate)
    if form < 0.3 or aspect == second_aspect:
        return f"{opening}{main} ."
    second_label = label if form < 0.5 else 1 - label
    second = _judgement(rng, second_aspect, second_label, held_out_rate)
    if form < 0.5:
        return f"{opening}{main} and {second} ."
    if form < 0.75:
        return f"{opening}{second} , but {main} ."
    return f"{opening}although {second} , {main} ."


def _judgement(rng: random.Random, aspect: str, label: int, held_out_rate: float) -> str:
    """Draw a clause; three in ten negate the opposite judgement."""
    form = rng.random()
    adjective = _adjective(rng, label, held_out_rate)
    opposite = _adjective(rng, 1 - label, held_out_rate)
    if form < 0.15:
        return f"the {aspect} is not {_pick(rng, NEGATED_DEGREES)}{opposite}"
    if form < 0.3:
        return f"there is nothing {opposite} about the {aspect}"
    if form < 0.45:
        return f"the {aspect} could hardly be more {adjective}"
    return f"the {aspect} is {_pick(rng, DEGREES)}{adjective}"


def _adjective(rng: random.Random, label: int, held_out_rate: float) -> str:
    """Draw a held-out word, or else the r-th word with a probability nearly proportional to 1/r."""
    words = PRAISE if label else BLAME
    if rng.random() < held_out_rate:
        return _pick(rng, words[-HELD_OUT:])
    return words[int((len(words) - HELD_OUT + 1) ** rng.random()) - 1]


def _pick(rng: random.Random, choices: Sequence[str]) -> str:
    """Draw one of the choices; unlike Random.choice, alike in every version of Python."""
    return choices[int(rng.random() * len(choices))]


def digits(takes: int = TAKES) -> list[Clip]:
    """Synthesize spoken digits; each take has its own pitch, speed and loudness.

    Parameters
    ----------
    takes
        Number of takes of each digit by each speaker, from 1 to 50.

    Returns
    -------
    list of Clip
        The recordings.

    Raises
    ------
    ValueError
        For another number of takes.
    """
    if not 1 <= takes <= TAKES:
        raise ValueError(f"takes must be from 1 to {TAKES}; got {takes}")
    return [
        clip._replace(samples=clip.samples.copy()) for clip in _all_digits() if clip.take < takes
    ]


@cache
def _all_digits() -> list[Clip]:
    """Return all takes, always made together: a sound depends a little on those made before it."""
    rng = np.random.default_rng(0)
    clips = []
    with synthesizer() as engine:
        for speaker, (voice, pitch) in SPEAKERS.items():
            for digit, word in enumerate(DIGITS):
                for take in range(TAKES):
                    pitch_change = int(rng.integers(-12, 13))
                    speed = int(rng.integers(120, 220))
                    sound = engine.speak(Utterance(word, voice, pitch + pitch_change, speed))
                    samples = _record(sound, rng)
                    clips.append(Clip(samples, SAMPLE_RATE, digit, speaker, take))
    return clips


def _record(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulate a microphone: vary the loudness of (N,) samples and add the noise of a room."""
    loudness = rng.uniform(0.3, 0.9) / max(np.abs(sound).max(), 1e-9)
    noise = rng.normal(0, rng.uniform(0.001, 0.005), len(sound))
    return np.clip(loudness * sound + noise, -1, 1).astype(np.float32)
