"""The data of the benchmark: a symbol to recall after a delay, and the characters of a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.data.batches import IGNORE_INDEX, Batch, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer

NUM_SYMBOLS = 8  # ids 0 … 7
BLANK, QUERY = NUM_SYMBOLS, NUM_SYMBOLS + 1
RECALL_VOCABULARY = NUM_SYMBOLS + 2
SELECTION_SEED, REPORTING_SEED = 10**6, 10**6 + 1  # of no training run


def recall_batch(delay: int, *, batch_size: int, generator: torch.Generator) -> Batch:
    """Draw sequences of a symbol, blanks and a query, after which the symbol is asked for.

    Parameters
    ----------
    delay
        Number of steps from the symbol to the query.
    batch_size
        Number of sequences.
    generator
        The source of randomness.

    Returns
    -------
    batch : Batch
        Inputs and targets (B, delay + 1). Only the last target counts.
    """
    inputs = torch.full((batch_size, delay + 1), BLANK)
    inputs[:, 0] = torch.randint(NUM_SYMBOLS, (batch_size,), generator=generator)
    inputs[:, -1] = QUERY
    targets = torch.full_like(inputs, IGNORE_INDEX)
    targets[:, -1] = inputs[:, 0]
    return Batch(inputs, targets)


@dataclass(frozen=True)
class RecallBatches:
    """Training batches of the recall task: ``batches[step]`` depends on seed and step alone.

    Parameters
    ----------
    delay
        Number of steps from the symbol to the query.
    batch_size
        Number of sequences in a batch.
    seed
        The seed.
    """

    delay: int
    batch_size: int
    seed: int

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + step)
        return recall_batch(self.delay, batch_size=self.batch_size, generator=generator)


def recall_split(delay: int, seed: int) -> list[Batch]:
    """Return 512 sequences that no training run sees as such."""
    generator = torch.Generator().manual_seed(seed)
    return [recall_batch(delay, batch_size=512, generator=generator)]


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
