"""The text, the stored GPT that writes, a judge that counts, and passages to continue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer, CharTokenizer
from utils.data.vocabulary import EOS
from utils.decoding.token_rules import NEVER_GENERATED
from utils.metrics.cost import count_parameters
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.stored import load_stored_model

MODEL = "gpt-pieces"
PASSAGES, PROMPT, LENGTH = 64, 24, 64  # passages of a run, pieces that are given, and written
HELD_OUT = 20_000  # characters on which a student is tested
JUDGE_ORDER, STUDENT_ORDER = 6, 4  # of n-grams of characters
NGRAM_ORDER = 4  # of the n-gram model of pieces


@dataclass(frozen=True, eq=False)
class WithoutEnd:
    """A language model of pieces in which EOS has probability 0, so that it never ends a text.

    Parameters
    ----------
    model
        The model.
    """

    model: Any

    def __call__(self, ids: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Compute logits (B, T, V) of which those of PAD, BOS and EOS are −∞, and the state."""
        logits, state = self.model(ids, state)
        logits = logits.double()
        logits[..., [*NEVER_GENERATED, EOS]] = -math.inf
        return logits, state


@dataclass(frozen=True, eq=False)
class Passages:
    """Passages of a text to continue, and held-out text that shares nothing with them.

    Parameters
    ----------
    pieces
        The first half of the text, in pieces, (N,).
    held_out
        Characters of its second half, as ids, (M,).
    """

    pieces: torch.Tensor
    held_out: torch.Tensor

    def draw(self, *, seed: int, count: int = PASSAGES) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw passages that do not overlap.

        Parameters
        ----------
        seed
            The seed.
        count
            How many, or fewer where the text is short.

        Returns
        -------
        prompts, real : torch.Tensor
            Their beginnings (B, PROMPT) and how they go on (B, LENGTH).
        """
        stretch = PROMPT + LENGTH
        generator = torch.Generator().manual_seed(seed)
        offset = int(torch.randint(stretch, (1,), generator=generator))
        rows = self.pieces[offset:]
        rows = rows[: len(rows) // stretch * stretch].view(-1, stretch)
        rows = rows[torch.randperm(len(rows), generator=generator)[:count]]
        return rows[:, :PROMPT], rows[:, PROMPT:]


@dataclass(frozen=True, eq=False)
class GenerationTask:
    """The text, the models and the passages that all runs share.

    Parameters
    ----------
    writers
        The models that write: "GPT", "n-gram" and "unigram", all of pieces.
    tokenizer, characters
        The tokenizers of pieces and of characters.
    judge
        An n-gram model of the characters of the training text.
    passages
        Those of "valid" and "test".
    parameters
        Of the GPT.
    origin
        "real" or "stand-in".
    """

    writers: Mapping[str, WithoutEnd]
    tokenizer: BPETokenizer
    characters: CharTokenizer
    judge: NGramLM
    passages: Mapping[str, Passages]
    parameters: int
    origin: str

    @classmethod
    def load(cls, name: str = MODEL) -> GenerationTask:
        """Load the text and the stored model, and count."""
        corpus, stored = load_text(), load_stored_model(name)
        tokenizer, characters = stored.tokenizer, CharTokenizer.train(corpus.train)
        train = torch.tensor(tokenizer.encode(corpus.train))
        counts = NGramCounts(train, order=NGRAM_ORDER, vocab_size=len(tokenizer))
        unigram = NGramCounts(train, order=1, vocab_size=len(tokenizer))
        writers = {
            "GPT": WithoutEnd(stored.model),
            "n-gram": WithoutEnd(NGramLM.kneser_ney(counts, modified=True)),
            "unigram": WithoutEnd(NGramLM.mle(unigram)),
        }
        passages = {}
        for split in ("valid", "test"):
            text = getattr(corpus, split)
            half = len(text) // 2
            held_out = torch.tensor(characters.encode(text[half : half + HELD_OUT]))
            passages[split] = Passages(torch.tensor(tokenizer.encode(text[:half])), held_out)
        return cls(
            writers,
            tokenizer,
            characters,
            count_characters(characters, [corpus.train], order=JUDGE_ORDER),
            passages,
            count_parameters(stored.model),
            corpus.origin,
        )

    def text_of(self, pieces: torch.Tensor | Sequence[int]) -> str:
        """Return the text of pieces."""
        return self.tokenizer.decode(torch.as_tensor(pieces).tolist())

    def judge_bits_per_character(
        self, prompts: torch.Tensor, texts: Sequence[Sequence[int]]
    ) -> float:
        """Return the judge's bits per character on the continuations `texts` of `prompts`."""
        nats, count = 0.0, 0
        for prompt, text in zip(prompts.tolist(), texts, strict=True):
            given = len(self.text_of(prompt))
            ids = self.characters.encode(self.text_of([*prompt, *text]))
            nats -= float(self.judge.score(ids)[given:].sum())
            count += len(ids) - given
        return nats / math.log(2) / count

    def student_bits_per_character(self, texts: Sequence[str], split: str) -> float:
        """Train a student on `texts`; return its bits per character on held-out real text."""
        student = count_characters(self.characters, texts, order=STUDENT_ORDER)
        return -float(student.score(self.passages[split].held_out).mean()) / math.log(2)


def count_characters(characters: CharTokenizer, texts: Sequence[str], *, order: int) -> NGramLM:
    """Return the Kneser–Ney model of the characters of texts.

    Parameters
    ----------
    characters
        The tokenizer.
    texts
        The texts; no n-gram spans two of them.
    order
        The length of the longest n-grams.

    Returns
    -------
    model : NGramLM
        The model.
    """
    ids = [characters.encode(text) for text in texts]
    counts = NGramCounts(ids, order=order, vocab_size=len(characters))
    return NGramLM.kneser_ney(counts)
