"""Batches of ids, from a running text or from sentence pairs; ``utils.data`` offers them too.

A training stream is a function of the step, so that a resumed run sees the data that an
uninterrupted one would have seen. Used from section 2.1 on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from utils.vocab import BOS, EOS, PAD

IGNORE = -100  # a target that no loss counts (torch's own default)
IdPair = tuple[list[int], list[int]]


@dataclass
class Batch:
    """One step: inputs (B, T); targets (B, T), IGNORE where padded; source (B, S) or None."""

    inputs: torch.Tensor
    targets: torch.Tensor
    source: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`."""
        source = None if self.source is None else self.source.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), source)


def pad(sequences: Sequence[Sequence[int]], value: int = PAD) -> torch.Tensor:
    """Sequences of B different lengths as one tensor (B, T), filled up at the end with `value`."""
    if not len(sequences):
        raise ValueError("there are no sequences to pad; at least one is needed")
    rows = [torch.as_tensor(sequence, dtype=torch.long) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)  # (B, T)


def padding_mask(ids: torch.Tensor) -> torch.Tensor:
    """True where `ids` holds a token, False where it holds padding; the shape stays."""
    return ids != PAD


class TextBatches:
    """Random windows of a text: `stream[step]` depends on the seed and the step alone.

    ids: 1-D tensor of N tokens; a window is `block` inputs and the same shifted by one as targets.
    Windows are drawn with replacement, so a batch may be larger than their number N − block. With
    `once`, without: for each epoch the text is cut into windows side by side, from a random place
    on, and each comes once, in random order. A batch may hold the end of an epoch and the beginning
    of the next; what lies before the first cut and behind the last, in all less than two windows,
    waits for another epoch.
    Raises ValueError where the text has no full window.
    """

    def __init__(
        self, ids: torch.Tensor, batch_size: int, block: int, seed: int = 0, once: bool = False
    ):
        self.ids = _one_text(ids, batch_size, block)
        if len(self.ids) <= block:
            raise ValueError(f"block={block} needs {block + 1} tokens; there are {len(self.ids)}")
        self.batch_size, self.block, self.seed, self.once = batch_size, block, seed, once
        self.windows = max(1, (len(self.ids) - 1) // block - 1)  # of an epoch, with `once`
        self._epoch, self._plan = -1, np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> Batch:
        starts = torch.from_numpy((self._next if self.once else self._any)(_step(step)))
        windows = self.ids[starts[:, None] + torch.arange(self.block + 1)]  # (B, block + 1)
        return Batch(windows[:, :-1], windows[:, 1:])

    def _any(self, step: int) -> np.ndarray:
        """Where the windows of a step begin, drawn with replacement: (B,)."""
        random = np.random.default_rng([self.seed, step])
        return random.integers(len(self.ids) - self.block, size=self.batch_size)

    def _next(self, step: int) -> np.ndarray:
        """Where they begin, drawn without: (B,)."""
        drawn = step * self.batch_size + np.arange(self.batch_size)
        epochs, places = np.divmod(drawn, self.windows)
        return np.concatenate(
            [self._starts(epoch)[places[epochs == epoch]] for epoch in np.unique(epochs).tolist()]
        )

    def _starts(self, epoch: int) -> np.ndarray:
        """The beginnings of an epoch's windows in random order."""
        if epoch != self._epoch:
            random = np.random.default_rng([self.seed, epoch])
            spare = len(self.ids) - self.windows * self.block  # places where the first may begin
            first = random.integers(spare)
            self._epoch = epoch
            self._plan = first + self.block * random.permutation(self.windows)
        return self._plan


def text_eval_batches(ids: torch.Tensor, batch_size: int, block: int) -> list[Batch]:
    """Contiguous windows in which every token after the first is a target exactly once.

    The text is cut into `batch_size` strips of equal length (the last may be shorter: IGNORE), and
    batch k holds the k-th window of each strip. So row b of a batch goes on where row b of the
    batch before ended: carry the state from batch to batch and only the strips' beginnings lack
    context, or start afresh and every window's beginning does. With batch_size=1 and the state
    carried, the whole text is scored in its own context. The last window may be shorter than
    `block`. Raises ValueError for a text of fewer than two tokens.
    """
    ids = _one_text(ids, batch_size, block)
    if len(ids) < 2:
        raise ValueError(f"two tokens are the least to predict one from; there are {len(ids)}")
    count = len(ids) - 1
    length = -(-count // min(batch_size, count))
    strips = range(0, count, length)
    inputs = pad([ids[s : min(s + length, count)] for s in strips])  # (B, length)
    targets = pad([ids[s + 1 : s + length + 1] for s in strips], IGNORE)  # (B, length)
    return [
        Batch(inputs[:, s : s + block], targets[:, s : s + block]) for s in range(0, length, block)
    ]


def length_groups(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices in batches of equal length, short first, at most `batch_size` each, in order."""
    _positive(batch_size=batch_size)
    groups: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        groups[length].append(index)
    return [
        groups[length][start : start + batch_size]
        for length in sorted(groups)
        for start in range(0, len(groups[length]), batch_size)
    ]


def encode_pairs(pairs: Sequence[tuple[str, str]], tokenizer) -> list[IdPair]:
    """(source ids, target ids) of each sentence pair, both sides by one tokenizer."""
    return [(tokenizer.encode(source), tokenizer.encode(target)) for source, target in pairs]


class PairBatches:
    """Sentence pairs whose sources are equally long, so that only targets need padding.

    pairs: (source ids, target ids) without BOS and EOS. In each epoch of `len(self)` steps every
    pair comes once, beside targets of like length, and the batches in random order; `stream[step]`
    depends on the seed and the step alone. A length with few pairs gives a smaller batch. The
    decoder reads BOS and the target and must predict the target and EOS; an empty target is just
    EOS.
    Raises ValueError where there are no pairs, or a source has no tokens.
    """

    def __init__(self, pairs: Sequence[IdPair], batch_size: int, seed: int = 0):
        self.lengths = _source_lengths(pairs)
        self.pairs, self.batch_size, self.seed = pairs, batch_size, seed
        self.steps = len(length_groups(self.lengths, batch_size))
        self._epoch, self._plan = -1, []

    def __len__(self) -> int:
        """Steps in an epoch."""
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(_step(step), self.steps)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._shuffled(epoch)
        return pair_batch([self.pairs[i] for i in self._plan[place]])

    def __iter__(self) -> Iterator[Batch]:
        """The first epoch."""
        return (self[step] for step in range(self.steps))

    def _shuffled(self, epoch: int) -> list[list[int]]:
        random = np.random.default_rng([self.seed, epoch])
        # targets of like length together: less padding
        order = sorted(random.permutation(len(self.pairs)), key=lambda i: len(self.pairs[i][1]))
        groups = length_groups([self.lengths[i] for i in order], self.batch_size)
        return [[order[i] for i in groups[g]] for g in random.permutation(len(groups))]


def pair_eval_batches(pairs: Sequence[IdPair], batch_size: int) -> list[Batch]:
    """Every pair once, in batches of equal source length, short first; as PairBatches otherwise."""
    groups = length_groups(_source_lengths(pairs), batch_size)
    return [pair_batch([pairs[i] for i in group]) for group in groups]


def pair_batch(pairs: Sequence[IdPair]) -> Batch:
    """One batch of any pairs: sources padded with PAD, BOS before and EOS behind the targets."""
    source = pad([source for source, _ in pairs])  # (B, S)
    inputs = pad([[BOS, *target] for _, target in pairs])  # (B, T)
    targets = pad([[*target, EOS] for _, target in pairs], IGNORE)  # (B, T)
    return Batch(inputs, targets, source)


def _source_lengths(pairs: Sequence[IdPair]) -> list[int]:
    lengths = [len(source) for source, _ in pairs]
    if not lengths:
        raise ValueError("there are no sentence pairs; at least one is needed")
    if 0 in lengths:
        raise ValueError(f"pair {lengths.index(0)} has a source of zero tokens; leave it out")
    return lengths


def _one_text(ids: torch.Tensor, batch_size: int, block: int) -> torch.Tensor:
    _positive(batch_size=batch_size, block=block)
    ids = torch.as_tensor(ids, dtype=torch.long)
    if ids.ndim != 1:
        raise ValueError(f"expected one text, a 1-D tensor of ids; got shape {tuple(ids.shape)}")
    return ids


def _step(step: int) -> int:
    if step < 0:
        raise ValueError(f"steps count from 0; got {step}")
    return step


def _positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1; got {size}")
