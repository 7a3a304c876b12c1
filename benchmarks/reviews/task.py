"""The sentences of the film reviews in three splits, and subsets with few labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.data.corpora import load_reviews
from utils.data.examples import LabelledReview


@dataclass(frozen=True)
class Reviews:
    """The sentences and where they come from.

    Parameters
    ----------
    train, valid, test
        Sentences with their labels.
    origin
        "real" or "stand-in".
    """

    train: list[LabelledReview]
    valid: list[LabelledReview]
    test: list[LabelledReview]
    origin: str

    @classmethod
    def load(cls) -> Reviews:
        """Load the corpus."""
        corpus = load_reviews()
        return cls(corpus.train, corpus.valid, corpus.test, corpus.origin)

    def labelled(self, count: int | None, *, seed: int) -> list[LabelledReview]:
        """Draw training sentences, half of them of each label.

        Parameters
        ----------
        count
            How many; None for all, in their order.
        seed
            The seed of the choice.

        Returns
        -------
        examples : list of LabelledReview
            The sentences, the same ones for all methods.
        """
        if count is None:
            return self.train
        rng = np.random.default_rng(seed)
        labels = np.array([label for _, label in self.train])
        chosen = [
            rng.permutation(np.flatnonzero(labels == label))[: count // 2] for label in (0, 1)
        ]
        return [self.train[i] for i in rng.permutation(np.concatenate(chosen))]


def as_digits(is_right: np.ndarray) -> str:
    """Encode which of N sentences are classified correctly, (N,) bool, as a text of N digits."""
    return "".join("1" if right else "0" for right in is_right)
