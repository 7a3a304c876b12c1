"""Batches of sentence pairs, and of texts with labels.

The sources of a batch
are equally long, so that an encoder reads no padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from utils.data.batches import IGNORE, Batch, check_step, group_by_length, pad
from utils.data.vocabulary import BOS, EOS

if TYPE_CHECKING:  # batches need no tokenizer library
    from utils.data.tokenizers import Tokenizer

IdPair: TypeAlias = tuple[list[int], list[int]]  # ids of a source and of its target
LabelledExample: TypeAlias = tuple[list[int], int]  # ids of a text, and its label


def encode_pairs(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> list[IdPair]:
    """Encode the source and the target of each of `pairs` with one tokenizer.

    Parameters
    ----------
    pairs
        Source and target sentences.
    tokenizer
        The tokenizer of both.

    Returns
    -------
    list
        The source ids and target ids of each pair.
    """
    return [(tokenizer.encode(source), tokenizer.encode(target)) for source, target in pairs]


class PairBatches:
    """An endless stream of batches of sentence pairs: ``stream[step]`` is the batch of a step.

    A batch depends on the seed and the step alone. It holds sources of one length (B, S) and
    targets of similar lengths. The inputs (B, T) are BOS and the target, padded with PAD; the
    targets (B, T) are the target and EOS, padded with IGNORE. Each epoch of ``len(stream)`` steps
    contains every pair once, in batches composed anew and in random order. A length with few
    sources gives a smaller batch.

    Parameters
    ----------
    pairs
        Source ids and target ids, without BOS and EOS; a target may be empty.
    batch_size
        The largest number of pairs in a batch.
    seed
        The seed of the order of the pairs.

    Raises
    ------
    ValueError
        If there are no pairs, a source is empty, or `batch_size` is below 1.
    """

    def __init__(self, pairs: Sequence[IdPair], *, batch_size: int, seed: int = 0) -> None:
        self.source_lengths = _source_lengths(pairs)
        self.pairs, self.batch_size, self.seed = pairs, batch_size, seed
        self.steps_per_epoch = len(group_by_length(self.source_lengths, batch_size=batch_size))
        self._epoch = -1
        self._epoch_groups: list[list[int]] = []

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        check_step(step)
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._epoch_groups = epoch, self._shuffled_groups(epoch)
        return pair_batch([self.pairs[i] for i in self._epoch_groups[index]])

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the first epoch."""
        return (self[step] for step in range(self.steps_per_epoch))

    def _shuffled_groups(self, epoch: int) -> list[list[int]]:
        """Return the indices of the pairs of each batch of an epoch."""
        random = np.random.default_rng([self.seed, epoch])
        # Sorting by target length brings similar lengths into one batch: less padding.
        order = sorted(random.permutation(len(self.pairs)), key=lambda i: len(self.pairs[i][1]))
        lengths = [self.source_lengths[i] for i in order]
        groups = group_by_length(lengths, batch_size=self.batch_size)
        return [[order[i] for i in groups[j]] for j in random.permutation(len(groups))]


def pair_eval_batches(pairs: Sequence[IdPair], *, batch_size: int) -> list[Batch]:
    """Return every pair once, in batches of equal source length, short sources first.

    Errors and the content of a batch are those of `PairBatches`.

    Parameters
    ----------
    pairs
        Source ids and target ids, without BOS and EOS.
    batch_size
        The largest number of pairs in a batch.

    Returns
    -------
    list of Batch
        The batches.
    """
    groups = group_by_length(_source_lengths(pairs), batch_size=batch_size)
    return [pair_batch([pairs[i] for i in group]) for group in groups]


def pair_batch(pairs: Sequence[IdPair]) -> Batch:
    """Make one batch of `pairs` whose sources may differ in length.

    Parameters
    ----------
    pairs
        B pairs of source ids and target ids, without BOS and EOS.

    Returns
    -------
    Batch
        Sources (B, S) padded with PAD; inputs (B, T) with BOS in front, padded with PAD; targets
        (B, T) with EOS at the end, padded with IGNORE.
    """
    source = pad([source for source, _ in pairs])  # (B, S)
    inputs = pad([[BOS, *target] for _, target in pairs])  # (B, T)
    targets = pad([[*target, EOS] for _, target in pairs], IGNORE)  # (B, T)
    return Batch(inputs, targets, source)


class LabelledBatches(PairBatches):
    """An endless stream of batches of texts with labels: ``stream[step]`` is the batch of a step.

    A batch holds texts of one length as inputs (B, S) and their labels as targets (B,). The order,
    the epochs and the errors are those of `PairBatches`.

    Parameters
    ----------
    examples
        The ids of each text, and its label.
    batch_size
        The largest number of texts in a batch.
    seed
        The seed of the order of the texts.
    """

    def __init__(
        self, examples: Sequence[LabelledExample], *, batch_size: int, seed: int = 0
    ) -> None:
        super().__init__(_as_pairs(examples), batch_size=batch_size, seed=seed)

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        return _as_labelled(super().__getitem__(step))


def label_eval_batches(examples: Sequence[LabelledExample], *, batch_size: int) -> list[Batch]:
    """Return every text once, in batches of equal length, short texts first.

    Errors and the content of a batch are those of `LabelledBatches`.

    Parameters
    ----------
    examples
        The ids of each text, and its label.
    batch_size
        The largest number of texts in a batch.

    Returns
    -------
    list of Batch
        The batches.
    """
    batches = pair_eval_batches(_as_pairs(examples), batch_size=batch_size)
    return [_as_labelled(batch) for batch in batches]


def _as_pairs(examples: Sequence[LabelledExample]) -> list[IdPair]:
    """Return each example as a pair whose target is the label alone."""
    return [(ids, [label]) for ids, label in examples]


def _as_labelled(batch: Batch) -> Batch:
    """Return the batch of labelled texts that `batch` holds as pairs."""
    assert batch.source is not None, "a batch of pairs has a source"
    return Batch(batch.source, batch.targets[:, 0])  # (B, S), (B,)


def _source_lengths(pairs: Sequence[IdPair]) -> list[int]:
    """Return the length of each source; raise ValueError if there is none or one is empty."""
    lengths = [len(source) for source, _ in pairs]
    if not lengths:
        raise ValueError("there are no sentence pairs; at least one is needed")
    if 0 in lengths:
        raise ValueError(f"pair {lengths.index(0)} has a source of zero tokens; leave it out")
    return lengths
