"""Random strings of digits in several voices: what the recognisers of dates learn from.

The first task of notebooks/06-3, and benchmarks/speech.py. The clips are ``data.load_digits``'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils import speech
from utils.speech import Voice
from utils.vocab import CharTokenizer

TOKENS = CharTokenizer.train("0123456789")
SINGLE = 0.3  # the share of the steps that train on single digits
SHORTEST, NOISES, SPEEDS = 3, (5.0, 25.0), (0.8, 1.25)


def random_text(rng: np.random.Generator, length: int) -> str:
    """Any digit in any place: there is no calendar to learn."""
    return "".join(rng.choice(list("0123456789"), length))


@dataclass(frozen=True)
class RandomStrings:
    """`make(rng, step)` for ``speech.SoundBatches``: strings of 3 to `longest` digits.

    One length a batch of about `size` digits, each string in one of `voices` (named), with gaps,
    speed and noise drawn anew. Single digits come first, in the first part of all `steps`, and
    show soon what a digit sounds like.
    """

    voices: dict[str, Voice]
    steps: int
    size: int = 48
    longest: int = 8

    def __call__(self, rng: np.random.Generator, step: int):
        """Clips and the ids said in them."""
        length = 1 if step < SINGLE * self.steps else int(rng.integers(SHORTEST, self.longest + 1))
        texts = [random_text(rng, length) for _ in range(self.size // length)]
        names = list(self.voices)
        clips = [
            speech.say(t, self.voices[rng.choice(names)], rng, rng.uniform(*NOISES), SPEEDS)
            for t in texts
        ]
        return clips, [TOKENS.encode(t) for t in texts]
