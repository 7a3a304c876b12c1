"""Tiny Shakespeare by characters: data and sizes of the benchmarks ``characters`` and ``loop``."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.characters.loss_curves import TimedBatches
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import load_text

WIDTH, NUM_LAYERS, NUM_HEADS = 128, 4, 4  # of all models
EVAL_BATCH_SIZE = 128  # windows


@dataclass(frozen=True, kw_only=True)
class CharacterTask:
    """The characters to train on and to predict, and the windows in which they are read.

    Parameters
    ----------
    train, valid
        Ids of the training and of the validation text, (N,).
    vocab_size
        The number of different characters.
    origin
        Where the text comes from: "real" or "stand-in".
    context_length
        Characters in a window.
    batch_size
        Windows in a training step.
    """

    train: torch.Tensor
    valid: torch.Tensor
    vocab_size: int
    origin: str
    context_length: int = 64
    batch_size: int = 12

    @classmethod
    def load(cls) -> CharacterTask:
        """Load Tiny Shakespeare: the first 90 % of its characters train, the others validate."""
        corpus = load_text()
        index = {character: i for i, character in enumerate(sorted(set(corpus.all)))}
        train, valid = (
            torch.tensor([index[character] for character in text])
            for text in (corpus.train, corpus.valid + corpus.test)
        )
        return cls(train=train, valid=valid, vocab_size=len(index), origin=corpus.origin)

    def train_batches(self, *, seed: int, without_replacement: bool = False) -> TextBatches:
        """Return an endless stream of random training windows.

        Parameters
        ----------
        seed
            Seed of the windows.
        without_replacement
            Whether each window of an epoch is drawn once.

        Returns
        -------
        batches : TextBatches
            Batches of `batch_size` windows.
        """
        return TextBatches(
            self.train,
            batch_size=self.batch_size,
            context_length=self.context_length,
            seed=seed,
            without_replacement=without_replacement,
        )

    def valid_batches(self) -> TimedBatches:
        """Return the validation windows, which predict each character once."""
        batches = text_eval_batches(
            self.valid, batch_size=EVAL_BATCH_SIZE, context_length=self.context_length
        )
        return TimedBatches(batches)
