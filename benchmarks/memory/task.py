"""The data of the benchmark: the tokens of the recall task, and the characters of a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.data.batches import Batch, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer

NUM_SYMBOLS = 8  # ids 0 … 7
BLANK, QUERY = NUM_SYMBOLS, NUM_SYMBOLS + 1
RECALL_VOCABULARY = NUM_SYMBOLS + 2


@dataclass(frozen=True)
class Characters:
    """The characters of a text, and two parts of its validation text.

    Parameters
    ----------
    train
        Ids of the training text, (N,).
    selection, reporting
        Ids of the first fifth of the validation text, by which rates are chosen, and of the second,
        on which the chosen runs are measured.
    tokenizer
        The characters.
    origin
        Where the text comes from: "real" or "stand-in".
    """

    train: torch.Tensor
    selection: torch.Tensor
    reporting: torch.Tensor
    tokenizer: CharTokenizer
    origin: str

    @classmethod
    def load(cls) -> Characters:
        """Load Tiny Shakespeare, or its stand-in."""
        corpus = load_text()
        tokenizer = CharTokenizer.train(corpus.train)
        train, valid = (
            torch.tensor(tokenizer.encode(text)) for text in (corpus.train, corpus.valid)
        )
        fifth = len(valid) // 5
        selection, reporting = valid[:fifth], valid[fifth : 2 * fifth]
        return cls(train, selection, reporting, tokenizer, corpus.origin)


def windows(ids: torch.Tensor) -> list[Batch]:
    """Cut a text into batches of 32 windows of 128 characters, each read from a fresh state."""
    return text_eval_batches(ids, batch_size=32, context_length=128)
