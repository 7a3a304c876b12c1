"""Announcements of a railway station: the second task of section 6.3.

The sentences come from a small grammar, the voices from the speech synthesizer eSpeak NG. A voice
is an accent of English in one of several variants, so that some accents and variants can be held
out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Literal, TypeAlias

import numpy as np

from utils.arguments import check_choice, check_integer, check_positive
from utils.conversions import as_strings
from utils.data import espeak

TOWNS = """
bath bristol carlisle chester crewe derby durham exeter leeds lincoln london norwich oxford
plymouth preston reading swindon york
""".split()
NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
MINUTES = "five ten fifteen twenty thirty".split()
TEMPLATES = [  # of sentences
    "the train to {town} leaves from platform {number}",
    "the train to {town} is {minutes} minutes late",
    "the train from {town} is now arriving at platform {number}",
    "platform {number} for the {minutes} past {other} to {town}",
    "please change at {town} for trains to {second}",
    "the next train to {town} calls at {second} and {third}",
    "we are sorry that the train to {town} is cancelled",
]
VoiceSplit: TypeAlias = Literal["train", "valid", "test", "far"]
"""The name of a set of voices; "far" has the accent of the test split and variants of its own."""

ACCENTS: dict[VoiceSplit, list[str]] = {
    "train": ["en-us", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029"],
    "valid": ["en-gb-x-gbclan"],
    "test": ["en-gb-x-gbcwmd"],
    "far": ["en-gb-x-gbcwmd"],
}
VARIANTS: dict[VoiceSplit, list[str]] = {
    "train": ["m1", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f4", "f5"],
    "valid": ["m2"],
    "test": ["m5", "f3"],
    "far": ["klatt", "croak", "whisper"],
}
PITCHES = (35, 65)  # eSpeak NG's units, from 0 to 99; the upper end is excluded
SPEEDS = (115, 150)  # words per minute; the upper end is excluded
ATTEMPTS_PER_SENTENCE = 50


def _num_distinct(template: str) -> int:
    """Return how many sentences a template has: no town occurs twice in one."""
    fields = {field for _, field, *_ in Formatter().parse(template) if field}
    num_towns = len(fields & {"town", "second", "third"})
    num_numbers = len(fields & {"number", "other"})
    num_minutes = len(fields & {"minutes"})
    towns = math.perm(len(TOWNS), num_towns)
    return math.prod([towns, *[len(NUMBERS)] * num_numbers, *[len(MINUTES)] * num_minutes])


def sample_sentence(rng: np.random.Generator) -> str:
    """Draw one announcement, a string of lower-case letters and spaces."""
    town, second, third = rng.choice(TOWNS, 3, replace=False)
    number, other = rng.choice(NUMBERS, 2)
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    minutes = MINUTES[rng.integers(len(MINUTES))]
    return template.format(
        town=town, second=second, third=third, number=number, other=other, minutes=minutes
    )


def sample_sentences(num_sentences: int, seed: int, *, excluded: Sequence[str] = ()) -> list[str]:
    """Draw distinct announcements.

    Parameters
    ----------
    num_sentences
        Number of announcements.
    seed
        Seeds the generator.
    excluded
        Sentences that must not be among them, such as those of the test set.

    Returns
    -------
    sentences : list of str
        The announcements, no two of them equal.

    Raises
    ------
    ValueError
        If `num_sentences` is not a positive integer or the seed a non-negative one, or the grammar
        has fewer sentences besides those excluded.

    Examples
    --------
    >>> from utils.speech.announcements import sample_sentences
    >>> for sentence in sample_sentences(2, seed=0):
    ...     print(sentence)
    the train to london leaves from platform one
    please change at plymouth for trains to swindon
    """
    check_positive(num_sentences=num_sentences)
    check_integer(minimum=0, seed=seed)
    num_possible = sum(map(_num_distinct, TEMPLATES))
    if num_sentences > num_possible:  # which random draws would find out only in the end
        raise ValueError(f"the grammar has {num_possible:,} sentences, not {num_sentences:,}")
    rng = np.random.default_rng(seed)
    forbidden = frozenset(excluded)
    sentences: dict[str, None] = {}  # a set that keeps its order
    for _ in range(ATTEMPTS_PER_SENTENCE * num_sentences):
        if len(sentences) == num_sentences:
            break
        sentence = sample_sentence(rng)
        if sentence not in forbidden:
            sentences[sentence] = None
    if len(sentences) < num_sentences:
        raise ValueError(
            f"the grammar gave {len(sentences)} sentences besides those excluded, "
            f"not {num_sentences}"
        )
    return list(sentences)


def speak_announcements(
    texts: Sequence[str], *, split: VoiceSplit, seed: int
) -> Iterator[tuple[np.ndarray, str]]:
    """Speak each text in a random voice of a split.

    Parameters
    ----------
    texts
        The announcements.
    split
        "train", "valid", "test" or "far". No variant belongs to two splits; "test" and "far" share
        an accent that "train" and "valid" do not have.
    seed
        Seeds the choice of voice, pitch and speed.

    Returns
    -------
    utterances : iterator of tuple of numpy.ndarray and str
        For each text its samples, (N,) float32 at SAMPLE_RATE, and the name of the voice.

    Raises
    ------
    ValueError
        If the split is unknown, `texts` is one text or an item is not a text, or the seed is not a
        non-negative integer.
    """
    check_choice(ACCENTS, split=split)
    check_integer(minimum=0, seed=seed)
    rng = np.random.default_rng(seed)
    texts = as_strings(texts, name="texts")
    utterances = [_random_utterance(text, split, rng) for text in texts]
    clips = espeak.synthesize(utterances)
    return zip(clips, (utterance.voice for utterance in utterances), strict=True)


def _random_utterance(text: str, split: VoiceSplit, rng: np.random.Generator) -> espeak.Utterance:
    """Draw a voice of the split, a pitch and a speed for a text."""
    voice = f"{rng.choice(ACCENTS[split])}+{rng.choice(VARIANTS[split])}"
    pitch = int(rng.integers(*PITCHES))
    return espeak.Utterance(text, voice, pitch, int(rng.integers(*SPEEDS)))
