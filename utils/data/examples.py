"""Types of the examples in a corpus: sentence pairs, labelled reviews and recorded digits.

Real corpora and stand-ins have the same types. ``utils.data.corpora`` loads both.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

SAMPLE_RATE = 8000  # samples per second of recorded and of synthetic speech, as in telephony

SentencePair: TypeAlias = tuple[str, str]  # source sentence, target sentence
LabelledReview: TypeAlias = tuple[str, int]  # sentence, 1 for positive or 0 for negative
Language: TypeAlias = Literal["de", "en", "fr", "zh"]
"""A language of sentence pairs: German, English, French or Chinese."""


class Clip(NamedTuple):
    """One recording of a spoken digit.

    Parameters
    ----------
    samples
        The waveform, (N,) float32 in [−1, 1].
    sample_rate
        Samples per second.
    digit
        The spoken digit, 0 to 9.
    speaker
        The name of the speaker.
    take
        The number of the recording among those of one digit by one speaker, from 0.
    """

    samples: np.ndarray
    sample_rate: int
    digit: int
    speaker: str
    take: int


Example = TypeVar("Example")
# the examples for training, validation and test
ExampleSplits: TypeAlias = tuple[list[Example], list[Example], list[Example]]
