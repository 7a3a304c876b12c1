"""A corpus in three splits, the examples that it consists of, and the error if it cannot be had.

Real corpora and stand-ins have the same types. ``utils.data.corpora`` loads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

SAMPLE_RATE = 8000  # samples per second of recorded and of synthetic speech, as in telephones

SentencePair: TypeAlias = tuple[str, str]  # source sentence, target sentence
LabelledReview: TypeAlias = tuple[str, int]  # sentence, 1 for praise or 0 for blame
Language: TypeAlias = Literal["de", "en", "fr", "zh"]
"""A language of sentence pairs: German, English, French or Chinese."""


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
# the examples for training, validation and test
ExampleSplits: TypeAlias = tuple[list[Example], list[Example], list[Example]]
CorpusOrigin: TypeAlias = Literal["real", "stand-in"]
Split = TypeVar("Split", str, list[SentencePair], list[LabelledReview], list[Clip])


@dataclass(frozen=True)
class Corpus(Generic[Split]):
    """A corpus in three splits, each a text or a list of examples.

    Parameters
    ----------
    name
        The name of the corpus.
    origin
        "real", or "stand-in" if the real corpus could not be had.
    train
        For training.
    valid
        For choosing between models.
    test
        For the final result, to be used once.
    """

    name: str
    origin: CorpusOrigin
    train: Split
    valid: Split
    test: Split

    @property
    def all(self) -> Split:
        """The three splits joined, in order: for cross-validation."""
        return self.train + self.valid + self.test


class DataError(RuntimeError):
    """A file of a corpus cannot be had, or is not the expected one; the message says what to do."""
