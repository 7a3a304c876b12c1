"""Sentences of film reviews, cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from utils.data.corpora import load_reviews
from utils.data.tokenizers import BPETokenizer

PIECES = 2_000

Labelled = list[tuple[str, int]]
Examples = list[tuple[list[int], int]]


@dataclass(frozen=True, eq=False)
class Sentences:
    """Labelled sentences and the tokenizer of their pieces.

    Parameters
    ----------
    train, valid, test
        Sentences with their labels: 1 for positive, 0 for negative.
    tokenizer
        Trained on the sentences of `train`.
    origin
        "real" or "stand-in".
    """

    train: Labelled
    valid: Labelled
    test: Labelled
    tokenizer: BPETokenizer
    origin: Any

    def encoded(self, texts: Sequence[str], labels: Sequence[int]) -> Examples:
        """Return the ids of some texts with their labels."""
        ids = self.tokenizer.encode_batch(texts)
        return list(zip(ids, labels, strict=True))

    def part(self, name: str) -> tuple[list[str], list[int]]:
        """Return the texts and the labels of "train", "valid" or "test"."""
        split: Labelled = getattr(self, name)
        return [text for text, _ in split], [label for _, label in split]


@cache
def load_sentences() -> Sentences:
    """Load the film reviews and train the tokenizer."""
    corpus = load_reviews()
    train, valid, test = (list(split) for split in (corpus.train, corpus.valid, corpus.test))
    tokenizer = BPETokenizer.train([text for text, _ in train], max_vocab_size=PIECES)
    return Sentences(train, valid, test, tokenizer, corpus.origin)


def labels_of(examples: Examples) -> torch.Tensor:
    """Return the labels, (N,)."""
    return torch.tensor([label for _, label in examples])
