"""The stored model, and two kinds of text in its pieces: plays and captions of photographs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import load_pairs, load_text
from utils.models.gpt import GPT
from utils.models.stored import load_stored_model

STORED = "gpt-pieces"
SELECTED = REPORTED = 15_000  # characters that select a rate, and that are measured
CAPTIONS = 10_000  # in training
LITTLE = 20_000  # characters of little text
KINDS = ("plays", "captions")


@dataclass(frozen=True, eq=False)
class Texts:
    """The trained model and its texts.

    Parameters
    ----------
    model
        The stored model, which no run changes.
    ids
        Of each kind of text, the ids of the parts "train", "valid" and "test", each (N,), and of
        the beginning of "train", "little".
    vocab_size
        The number of pieces.
    origin
        "real" or "stand-in".
    """

    model: GPT
    ids: Mapping[str, Mapping[str, torch.Tensor]]
    vocab_size: int
    origin: Any

    @classmethod
    def load(cls) -> Texts:
        """Load the stored model, Tiny Shakespeare and the English side of Multi30k.

        Raises
        ------
        TypeError
            If the stored model is no GPT.
        """
        stored = load_stored_model(STORED)
        if not isinstance(stored.model, GPT):
            raise TypeError(f"the stored model {STORED} is a {type(stored.model).__name__}")
        plays, pairs = load_text(), load_pairs()
        captions = {
            part: "\n".join(english for _, english in getattr(pairs, part)[:CAPTIONS])
            for part in ("train", "valid", "test")
        }
        texts = {
            "plays": {part: getattr(plays, part) for part in ("train", "valid", "test")},
            "captions": captions,
        }
        ids = {kind: _encode(stored.tokenizer, parts) for kind, parts in texts.items()}
        origins = {plays.origin, pairs.origin}
        origin = "real" if origins == {"real"} else "stand-in"
        return cls(stored.model, ids, len(stored.tokenizer), origin)

    def batches(
        self, kind: str, part: str, *, batch_size: int, length: int, seed: int
    ) -> TextBatches:
        """Return the batches of a training run.

        Parameters
        ----------
        kind
            The name of the text.
        part
            The part of it to train on.
        batch_size
            Windows in a batch.
        length
            Tokens in a window.
        seed
            Seed of the windows.

        Returns
        -------
        batches : TextBatches
            An endless stream of random windows.
        """
        ids = self.ids[kind][part]
        return TextBatches(ids, batch_size=batch_size, context_length=length, seed=seed)

    def eval_batches(self, kind: str, part: str, *, length: int) -> list[Batch]:
        """Return the windows of a part, each token of which is a target once."""
        return text_eval_batches(self.ids[kind][part], batch_size=16, context_length=length)


def _encode(tokenizer: Any, texts: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Return the ids of the parts of a text, cut to what is used of them."""
    parts = {
        "train": texts["train"],
        "little": texts["train"][:LITTLE],
        "valid": texts["valid"][:SELECTED],
        "test": texts["test"][:REPORTED],
    }
    return {part: torch.tensor(tokenizer.encode(text)) for part, text in parts.items()}
