"""Announcements at a railway station: their sentences, and voices that speak them.

The second task of notebooks/06-3. Sentences come from a small grammar, voices from the synthesiser
eSpeak NG: accents of English times variants of the throat, so that some of both can be held out.
The "far" voices have the accent of the tests in throats that no setting was ever chosen by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from utils import standins

TOWNS = """
bath bristol carlisle chester crewe derby durham exeter leeds lincoln london norwich oxford
plymouth preston reading swindon york
""".split()
NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
MINUTES = "five ten fifteen twenty thirty".split()
FORMS = [
    "the train to {town} leaves from platform {number}",
    "the train to {town} is {minutes} minutes late",
    "the train from {town} is now arriving at platform {number}",
    "platform {number} for the {minutes} past {other} to {town}",
    "please change at {town} for trains to {second}",
    "the next train to {town} calls at {second} and {third}",
    "we are sorry that the train to {town} is cancelled",
]
ACCENTS = {
    "train": ["en-us", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029"],
    "valid": ["en-gb-x-gbclan"],
    "test": ["en-gb-x-gbcwmd"],
    "far": ["en-gb-x-gbcwmd"],
}
VARIANTS = {
    "train": ["m1", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f4", "f5"],
    "valid": ["m2"],
    "test": ["m5", "f3"],
    "far": ["klatt", "croak", "whisper"],
}


def sentence(rng: np.random.Generator) -> str:
    """One announcement, in small letters and spaces."""
    town, second, third = rng.choice(TOWNS, 3, replace=False)
    number, other = rng.choice(NUMBERS, 2)
    form = FORMS[rng.integers(len(FORMS))]
    return form.format(
        town=town, second=second, third=third, number=number, other=other,
        minutes=MINUTES[rng.integers(len(MINUTES))],
    )  # fmt: skip


def sentences(count: int, seed: int, besides: Sequence[str] = ()) -> list[str]:
    """`count` different announcements, none of them among `besides`.

    Raises ValueError where the grammar does not have so many.
    """
    rng, found, taken = np.random.default_rng(seed), {}, set(besides)
    for _ in range(50 * count):
        if len(found) == count:
            break
        text = sentence(rng)
        if text not in taken:
            found[text] = None
    if len(found) < count:
        raise ValueError(f"the grammar gave {len(found)} sentences besides those, not {count}")
    return list(found)


def spoken(texts: Sequence[str], split: str, seed: int) -> Iterator[tuple[np.ndarray, str]]:
    """(samples at 8000 a second, voice) for each text: voices of "train", "valid", "test", "far".

    Raises ValueError for another split.
    """
    if split not in ACCENTS:
        raise ValueError(f"unknown split {split!r}; choose from {', '.join(ACCENTS)}")
    rng = np.random.default_rng(seed)
    wanted = []
    for text in texts:
        voice = f"{rng.choice(ACCENTS[split])}+{rng.choice(VARIANTS[split])}"
        wanted.append((text, voice, int(rng.integers(35, 65)), int(rng.integers(115, 150))))
    sounds = standins.speak(wanted)
    return zip(sounds, (voice for _, voice, _, _ in wanted), strict=True)
