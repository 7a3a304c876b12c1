"""Batches of strings to copy and of translations, and the alignment error rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from benchmarks.attention.links import LinkedPair, linked_pairs
from utils.data.batches import Batch
from utils.data.pair_batches import IdPair, PairBatches, pair_eval_batches
from utils.data.vocabulary import BOS, SPECIAL_TOKENS

ALPHABET = 8
COPYING_VOCABULARY = len(SPECIAL_TOKENS) + ALPHABET
SELECTION_SEED, REPORTING_SEED = 9_001, 9_002
MEASURED_STRINGS = 500
PAIRS = (4_000, 300, 300)  # to train on, to choose rates, to report
LONGEST = 10  # words of a sentence, with punctuation


class CopyingBatches:
    """Batches of random strings to copy: ``batches[step]`` depends on the seed and the step.

    Parameters
    ----------
    length
        Letters of a string.
    batch_size
        Strings of a batch.
    seed
        The seed.
    """

    def __init__(self, length: int, *, batch_size: int, seed: int) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed

    def __getitem__(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        size = (self.batch_size, self.length)
        letters = torch.randint(len(SPECIAL_TOKENS), COPYING_VOCABULARY, size, generator=generator)
        start = torch.full((self.batch_size, 1), BOS)
        return Batch(torch.cat([start, letters[:, :-1]], 1), letters, letters)


def measured_strings(length: int, seed: int) -> list[Batch]:
    """Draw the strings that choose a rate or that report: one batch."""
    return [CopyingBatches(length, batch_size=MEASURED_STRINGS, seed=seed)[0]]


@dataclass(frozen=True)
class Translation:
    """Linked sentence pairs as ids.

    Parameters
    ----------
    words
        The words of both languages; the id of a word is its place after the special tokens.
    train, selection, reporting
        The pairs to train on, to choose rates and to report, as ids.
    linked
        The reporting pairs as words, with their links.
    """

    words: list[str]
    train: list[IdPair]
    selection: list[IdPair]
    reporting: list[IdPair]
    linked: list[LinkedPair]

    @classmethod
    def make(cls, sizes: tuple[int, int, int] = PAIRS) -> Translation:
        """Draw the pairs; they are the same for all seeds of a run."""
        pairs = linked_pairs(sum(sizes), longest=LONGEST)
        words = sorted({word for pair in pairs for word in (*pair.source, *pair.target)})
        ids = {word: len(SPECIAL_TOKENS) + i for i, word in enumerate(words)}
        encoded = [([ids[w] for w in pair.source], [ids[w] for w in pair.target]) for pair in pairs]
        first, second = sizes[0], sizes[0] + sizes[1]
        return cls(words, encoded[:first], encoded[first:second], encoded[second:], pairs[second:])

    @property
    def vocab_size(self) -> int:
        """Size of the vocabulary with its special tokens."""
        return len(SPECIAL_TOKENS) + len(self.words)

    def batches(self, *, batch_size: int, seed: int) -> PairBatches:
        """Return the training batches."""
        return PairBatches(self.train, batch_size=batch_size, seed=seed)

    def eval_batches(self, pairs: Sequence[IdPair]) -> list[Batch]:
        """Return all of some pairs in batches."""
        return pair_eval_batches(pairs, batch_size=100)


def alignment_error_rate(predicted: Iterable[Sequence[int]], pairs: Iterable[LinkedPair]) -> float:
    """Compute the share of wrong links among the words that have a gold link.

    Source: ``eq-alignment-error`` (section 4.2); Och and Ney 2003, with sure links only.

    Parameters
    ----------
    predicted
        For each pair and each word of its target, the word of the source that it is linked to. A
        word without a gold link is ignored.
    pairs
        The pairs with their gold links.

    Returns
    -------
    rate : float
        1 − 2 |A ∩ G| / (|A| + |G|) for predicted links A and gold links G of all pairs.

    Raises
    ------
    ValueError
        If no pair has a link.
    """
    right = made = gold = 0
    for places, pair in zip(predicted, pairs, strict=True):
        linked = {t for t, _ in pair.links}
        links = {(t, s) for t, s in enumerate(places) if t in linked}
        right += len(links & pair.links)
        made, gold = made + len(links), gold + len(pair.links)
    if not gold:
        raise ValueError("no pair has a gold link: the alignment error rate is undefined")
    return 1 - 2 * right / (made + gold)


def drawn_error_rate(pairs: Iterable[LinkedPair]) -> float:
    """Compute the alignment error of a position drawn uniformly for each word: that of chance.

    Parameters
    ----------
    pairs
        Pairs with their gold links.

    Returns
    -------
    rate : float
        1 − 2 E |A ∩ G| / (|A| + |G|).
    """
    right, made, gold = 0.0, 0, 0
    for pair in pairs:
        right += len(pair.links) / len(pair.source)
        made, gold = made + len({t for t, _ in pair.links}), gold + len(pair.links)
    return 1 - 2 * right / (made + gold)


def align_to_first_gold(pair: LinkedPair) -> list[int]:
    """Link each word to its first gold link: the lowest error that one link for a word can have."""
    return [min((s for u, s in pair.links if u == t), default=0) for t in range(len(pair.target))]


def align_diagonally(pair: LinkedPair) -> list[int]:
    """Link each word of the target to the word at the same share of the source."""
    ratio = len(pair.source) / len(pair.target)
    return [int((t + 0.5) * ratio) for t in range(len(pair.target))]
