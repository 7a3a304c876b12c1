"""The data of the benchmark: a training text and two splits of its validation text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.data.batches import Batch, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer


def eval_batches(ids: torch.Tensor) -> list[Batch]:
    """Cut a text into batches for a measurement.

    Parameters
    ----------
    ids
        The text, (N,).

    Returns
    -------
    batches : list of Batch
        32 windows of 128 tokens in each.
    """
    return text_eval_batches(ids, batch_size=32, context_length=128)


@dataclass(frozen=True)
class Task:
    """The characters of a text, and two parts of its validation text.

    Parameters
    ----------
    train
        Ids of the training text, (N,).
    selection
        The selection split: validation batches by which rates, and steps of early stopping, are
        chosen.
    reporting
        The reporting split: other validation batches, on which the chosen runs are measured.
    vocab_size
        Size of the vocabulary.
    origin
        Where the text comes from: "real" or "stand-in".
    """

    train: torch.Tensor
    selection: list[Batch]
    reporting: list[Batch]
    vocab_size: int
    origin: str

    @classmethod
    def load(cls) -> Task:
        """Load Tiny Shakespeare; a fifth of its validation text selects, two fifths report."""
        corpus = load_text()
        tokenizer = CharTokenizer.train(corpus.train)
        train, valid = (
            torch.tensor(tokenizer.encode(text)) for text in (corpus.train, corpus.valid)
        )
        fifth = len(valid) // 5
        selection = eval_batches(valid[:fifth])
        reporting = eval_batches(valid[fifth : 3 * fifth])
        return cls(train, selection, reporting, len(tokenizer), corpus.origin)
