"""The texts: characters of Tiny Shakespeare, and its words, some of whose letters are masked."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from utils.data.batches import IGNORE_INDEX, Batch, TextBatches, pad, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer

SELECTED = REPORTED = 20_000  # characters that select a rate, and that are measured
HELD_OUT = 1000  # words that select a rate, and as many that are measured
MASKED_SHARE = 0.15  # of the letters, as of the pieces in BERT
FIRST_LETTER = 4  # the id of "a", behind the special tokens
MASK = FIRST_LETTER + 26


@dataclass(frozen=True, eq=False)
class Characters:
    """The characters of a text.

    Parameters
    ----------
    ids
        Ids of the parts "train", "valid" and "test", each (N,).
    vocab_size
        The number of different characters and special tokens.
    origin
        "real" or "stand-in".
    """

    ids: Mapping[str, torch.Tensor]
    vocab_size: int
    origin: Any

    @classmethod
    def load(cls) -> Characters:
        """Load Tiny Shakespeare, or its stand-in."""
        corpus = load_text()
        tokenizer = CharTokenizer.train(corpus.train)
        texts = {
            "train": corpus.train,
            "valid": corpus.valid[:SELECTED],
            "test": corpus.test[:REPORTED],
        }
        ids = {part: torch.tensor(tokenizer.encode(text)) for part, text in texts.items()}
        return cls(ids, len(tokenizer), corpus.origin)

    def batches(self, *, batch_size: int, length: int, seed: int) -> TextBatches:
        """Return the batches of a training run."""
        return TextBatches(
            self.ids["train"], batch_size=batch_size, context_length=length, seed=seed
        )

    def eval_batches(self, part: str, *, length: int) -> list[Batch]:
        """Return the windows of a part, each token of which is a target once."""
        return text_eval_batches(self.ids[part], batch_size=32, context_length=length)


@dataclass(frozen=True, eq=False)
class Words:
    """Different words of a text as letters, of which some are masked; no word is in two parts.

    Parameters
    ----------
    rows
        The words of the parts "train", "valid" and "test", as ids of their letters.
    origin
        "real" or "stand-in".
    """

    rows: Mapping[str, list[list[int]]]
    origin: Any

    @classmethod
    def load(cls) -> Words:
        """Load the words of Tiny Shakespeare, or of its stand-in, in lower case."""
        corpus = load_text()
        words = sorted(set(re.findall(r"[a-z]{3,10}", corpus.train.lower())))
        random.Random(0).shuffle(words)
        rows = [[FIRST_LETTER + ord(letter) - ord("a") for letter in word] for word in words]
        size = min(HELD_OUT, len(rows) // 4)
        parts = {"valid": rows[:size], "test": rows[size : 2 * size], "train": rows[2 * size :]}
        return cls(parts, corpus.origin)

    @property
    def vocab_size(self) -> int:
        """The number of ids, the mask's included."""
        return MASK + 1

    def batches(self, *, batch_size: int, seed: int) -> MaskedBatches:
        """Return the batches of a training run."""
        return MaskedBatches(self.rows["train"], batch_size=batch_size, seed=seed)

    def eval_batches(self, part: str) -> list[Batch]:
        """Return the words of a part, masked in one fixed way."""
        generator = torch.Generator().manual_seed(0)
        rows = self.rows[part]
        return [masked_batch(rows[i : i + 64], generator) for i in range(0, len(rows), 64)]


class MaskedBatches:
    """Batches of words with masked letters: ``stream[step]`` depends on seed and step.

    Parameters
    ----------
    rows
        The words.
    batch_size
        Words in a batch.
    seed
        The seed.
    """

    def __init__(self, rows: Sequence[list[int]], *, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed

    def __getitem__(self, step: int, /) -> Batch:
        """Return the batch of a step."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        drawn = torch.randint(len(self.rows), (self.batch_size,), generator=generator)
        return masked_batch([self.rows[i] for i in drawn], generator)


def masked_batch(rows: Sequence[list[int]], generator: torch.Generator) -> Batch:
    """Mask letters of words at random, one of each batch at least.

    Source: ``eq-masked-lm`` (section 7.3); Devlin et al. 2019, who replace only 80 % by the mask.

    Parameters
    ----------
    rows
        The words.
    generator
        Draws the places.

    Returns
    -------
    batch : Batch
        Words with masks, and as targets the masked letters; IGNORE_INDEX elsewhere.
    """
    letters = pad([torch.tensor(row) for row in rows])  # (B, T)
    is_letter = letters > 0
    is_masked = (torch.rand(letters.shape, generator=generator) < MASKED_SHARE) & is_letter
    is_masked[0, 0] |= not is_masked.any()
    return Batch(
        letters.masked_fill(is_masked, MASK), letters.masked_fill(~is_masked, IGNORE_INDEX)
    )
