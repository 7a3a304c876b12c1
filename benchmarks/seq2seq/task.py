"""Multi30k as ids in the order in which a recipe reads them, and the recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from utils.data.corpora import load_pairs
from utils.data.examples import SentencePair
from utils.data.pair_batches import IdPair, encode_pairs
from utils.data.tokenizers import BPETokenizer

VOCAB_SIZE = 2500  # pieces


@dataclass(frozen=True)
class Recipe:
    """A model and its training, except the learning rate, which is tuned.

    Parameters
    ----------
    is_reversed
        Whether the source is read from its end.
    has_source
        Whether the model is given the source; without it, it reads one EOS in its place, in the
        same batches.
    width
        Length D of word vectors and states.
    batch_size
        Pairs of a batch.
    steps
        Number of optimizer steps.
    validations
        How often loss, BLEU and translations are stored during the training.
    """

    is_reversed: bool
    has_source: bool = True
    width: int = 128
    batch_size: int = 32
    steps: int = 400
    validations: int = 4

    def settings(self, rate: float | None, grid: Sequence[float] | None) -> dict[str, Any]:
        """Return the settings that rows store: the recipe, its rate and the rates tried.

        Parameters
        ----------
        rate
            The learning rate; None before it is tuned.
        grid
            The rates tried; None if there was no search.

        Returns
        -------
        settings : dict
            The settings of a row.
        """
        control: dict[str, Any] = {} if self.has_source else {"source": "one EOS"}
        return control | {
            "optimizer": "AdamW",
            "learning_rate": rate,
            "grid": None if grid is None else list(grid),
            "steps": self.steps,
            "batch size": self.batch_size,
            "width": self.width,
            "pieces": VOCAB_SIZE,
            "reversed source": self.is_reversed,
        }


ORDERS = {"reversed": Recipe(is_reversed=True), "as written": Recipe(is_reversed=False)}
NO_SOURCE = Recipe(is_reversed=True, has_source=False)
LONG = Recipe(is_reversed=True, batch_size=64, steps=1500, validations=10)
LONG_NO_SOURCE = replace(LONG, has_source=False)
LONG_RATE = 0.006
TUNING_SEEDS = (100,)
RATES = (0.004, 0.008, 0.016)


@dataclass(frozen=True, eq=False)
class Task:
    """The sentence pairs as texts and as ids.

    Parameters
    ----------
    texts
        The pairs of the parts "train", "valid" and "test".
    ids
        Their ids.
    tokenizer
        Byte-pair encoding, trained on the training text of both languages.
    origin
        Where the pairs come from: "real" or "stand-in".
    """

    texts: dict[str, list[SentencePair]]
    ids: dict[str, list[IdPair]]
    tokenizer: BPETokenizer
    origin: str

    @classmethod
    def load(cls) -> Task:
        """Load Multi30k, or its stand-in."""
        corpus = load_pairs("multi30k", source_language="de", target_language="en")
        texts = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
        sentences = [sentence for pair in corpus.train for sentence in pair]
        tokenizer = BPETokenizer.train(sentences, max_vocab_size=VOCAB_SIZE)
        ids = {part: encode_pairs(pairs, tokenizer) for part, pairs in texts.items()}
        return cls(texts, ids, tokenizer, corpus.origin)

    def pairs(self, part: str, recipe: Recipe) -> list[IdPair]:
        """Return the ids of a part, with its sources in the order that a recipe reads."""
        step = -1 if recipe.is_reversed else 1
        return [(source[::step], target) for source, target in self.ids[part]]
