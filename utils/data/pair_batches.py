"""Batches of sentence pairs.

The sources of a batch of `PairBatches` or `pair_eval_batches` have equal lengths, so that an
encoder reads no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch.nn import functional as F

from utils.data.batches import IGNORE_INDEX, Batch, pad
from utils.data.checks import as_id_list
from utils.data.grouped_batches import GroupedBatches, check_not_empty, group_by_length
from utils.data.vocabulary import BOS, EOS, PAD

if TYPE_CHECKING:  # batches do not need the tokenizer library
    from utils.data.tokenizers import Tokenizer

IdPair: TypeAlias = tuple[list[int], list[int]]  # ids of a source and of its target


def encode_pairs(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> list[IdPair]:
    """Encode the source and the target sentence of each pair with one tokenizer."""
    return [(tokenizer.encode(source), tokenizer.encode(target)) for source, target in pairs]


class PairBatches(GroupedBatches[Batch]):
    """Batches of sentence pairs, reshuffled in each epoch: ``stream[step]`` is one batch.

    A batch depends on the seed and the step alone. It holds sources of one length (B, S) and
    targets of similar lengths. The inputs (B, T) are BOS and the target, padded with PAD; the
    targets (B, T) are the target and EOS, padded with IGNORE_INDEX. Each epoch of ``len(stream)``
    steps contains every pair once, in newly composed batches and in random order. A length with few
    sources leads to a smaller batch.

    Parameters
    ----------
    pairs
        Source ids and target ids, without BOS and EOS; a target may be empty.
    batch_size
        The largest number of pairs in a batch.
    seed
        The seed of the order of the pairs, a non-negative integer.

    Raises
    ------
    ValueError
        If there are no pairs, a source is empty, an id or the seed is not a non-negative
        integer, or `batch_size` is not a positive integer.

    Examples
    --------
    >>> from utils.data.pair_batches import PairBatches
    >>> stream = PairBatches([([7], [4]), ([8, 9], [5, 6]), ([7, 9], [4])], batch_size=2)
    >>> len(stream)
    2
    >>> sorted(batch.source.tolist() for batch in stream)
    [[[7]], [[7, 9], [8, 9]]]
    """

    def __init__(self, pairs: Sequence[IdPair], *, batch_size: int, seed: int = 0) -> None:
        self.pairs = _as_id_pairs(pairs)
        lengths = [len(source) for source, _ in self.pairs]
        check_not_empty(lengths, "sentence pair", "a source")
        super().__init__(
            lengths,
            batch_size=batch_size,
            seed=seed,
            target_lengths=[len(target) for _, target in self.pairs],
        )

    def make_batch(self, indices: Sequence[int]) -> Batch:
        """Return the batch of the pairs with these indices."""
        return _make_pair_batch([self.pairs[i] for i in indices])


def pair_eval_batches(pairs: Sequence[IdPair], *, batch_size: int) -> list[Batch]:
    """Return every pair once, in batches of equal source length, short sources first.

    Parameters
    ----------
    pairs
        Source ids and target ids, without BOS and EOS.
    batch_size
        The largest number of pairs in a batch.

    Returns
    -------
    batches : list of Batch
        The batches, whose content is that of `PairBatches`.

    Raises
    ------
    ValueError
        If there are no pairs, a source is empty, an id is not a non-negative integer, or
        `batch_size` is not a positive integer.
    """
    pairs = _as_id_pairs(pairs)
    lengths = [len(source) for source, _ in pairs]
    check_not_empty(lengths, "sentence pair", "a source")
    groups = group_by_length(lengths, batch_size=batch_size)
    return [_make_pair_batch([pairs[i] for i in group]) for group in groups]


def pair_batch(pairs: Sequence[IdPair]) -> Batch:
    """Make one batch of `pairs` whose sources may differ in length.

    Parameters
    ----------
    pairs
        B pairs of source ids and target ids, without BOS and EOS.

    Returns
    -------
    batch : Batch
        Sources (B, S) padded with PAD; inputs (B, T) with BOS in front, padded with PAD; targets
        (B, T) with EOS at the end, padded with IGNORE_INDEX.

    Raises
    ------
    ValueError
        If there are no pairs, or an id is not a non-negative integer.

    Examples
    --------
    >>> from utils.data.pair_batches import pair_batch
    >>> batch = pair_batch([([7, 8], [4, 5]), ([9], [6])])
    >>> batch.source.tolist()
    [[7, 8], [9, 0]]
    >>> batch.inputs.tolist()
    [[1, 4, 5], [1, 6, 0]]
    >>> batch.targets.tolist()
    [[4, 5, 2], [6, 2, -100]]
    """
    return _make_pair_batch(_as_id_pairs(pairs))


def _make_pair_batch(pairs: Sequence[IdPair]) -> Batch:
    """Return the batch of pairs whose ids have been checked."""
    source = pad([source for source, _ in pairs])  # (B, S)
    inputs, targets = teacher_forcing_pair(
        pad([target for _, target in pairs], IGNORE_INDEX)
    )  # (B, T)
    return Batch(inputs, targets, source)


def teacher_forcing_pair(targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Make the inputs and the targets of a decoder under teacher forcing.

    Parameters
    ----------
    targets
        Ids without BOS and EOS, (B, L), padded with IGNORE_INDEX at the end.

    Returns
    -------
    inputs : torch.Tensor
        BOS and the ids, padded with PAD, (B, L + 1).
    targets : torch.Tensor
        The ids and EOS, padded with IGNORE_INDEX, (B, L + 1).
    """
    inputs = F.pad(
        targets.masked_fill(targets == IGNORE_INDEX, PAD), (1, 0), value=BOS
    )  # (B, L + 1)
    lengths = (targets != IGNORE_INDEX).sum(1, keepdim=True)  # (B, 1)
    targets = F.pad(targets, (0, 1), value=IGNORE_INDEX).scatter(1, lengths, EOS)  # (B, L + 1)
    return inputs, targets


def _as_id_pairs(pairs: Sequence[IdPair]) -> list[IdPair]:
    """Return the pairs as lists of ids; raise ValueError for anything else."""
    id_pairs = []
    for number, pair in enumerate(pairs):
        name = f"the ids of sentence pair {number}"
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"sentence pair {number} must be two lists of ids, got {pair!r}")
        source, target = pair
        id_pairs.append((as_id_list(source, name=name), as_id_list(target, name=name)))
    return id_pairs
