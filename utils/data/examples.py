"""The examples that corpora consist of, real ones and stand-ins alike, as types."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

SentencePair: TypeAlias = tuple[str, str]  # source sentence, target sentence
LabelledReview: TypeAlias = tuple[str, int]  # sentence, 1 for praise or 0 for blame


class Clip(NamedTuple):
    """One recording of a spoken digit.

    Parameters
    ----------
    samples
        The sound, (N,) float32 in [−1, 1].
    sample_rate
        Samples per second.
    digit
        The digit that is spoken, 0 to 9.
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
Splits: TypeAlias = tuple[list[Example], list[Example], list[Example]]  # train, valid, test
