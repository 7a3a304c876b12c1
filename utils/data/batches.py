"""Batches of token ids: padding, and windows of one running text for training and evaluation.

The batch of a training stream is a function of the step alone, so that a resumed run reads the same
data as an uninterrupted one. The streams of sentence pairs and of labelled texts are in
``utils.data.pair_batches`` and ``utils.data.labelled_batches``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import torch

from utils.arguments import check_bool, check_integer, check_positive
from utils.data.checks import as_id_tensor, check_ids_in_vocabulary
from utils.data.vocabulary import PAD

IGNORE_INDEX = -100  # a target that does not count in a loss (torch's default)


@dataclass
class Batch:
    """Inputs and targets of a model that predicts tokens, in one step.

    Parameters
    ----------
    inputs
        Token ids (B, T), padded with PAD at the end.
    targets
        The ids to predict (B, T), IGNORE_INDEX at padding.
    source
        Token ids of the source sentences (B, S), padded with PAD at the end; None without an
        encoder.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    source: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """Return the same batch on `device`."""
        source = None if self.source is None else self.source.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), source)


def pad(sequences: Iterable[Sequence[int] | torch.Tensor], value: int = PAD) -> torch.Tensor:
    """Pad B sequences of different lengths to one tensor.

    Parameters
    ----------
    sequences
        B sequences of ids, the longest of length T.
    value
        The padding id, at the end of shorter sequences.

    Returns
    -------
    ids : torch.Tensor
        Ids (B, T), int64.

    Raises
    ------
    ValueError
        If there are no sequences, one is not 1-D, or an id or `value` is not an integer.

    Examples
    --------
    >>> from utils.data.batches import pad
    >>> pad([[4, 5, 6], [7]])
    tensor([[4, 5, 6],
            [7, 0, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise ValueError(f"sequences must be a list of lists of ids, got {sequences!r}")
    check_integer(minimum=IGNORE_INDEX, value=value)
    rows = [as_id_tensor(sequence) for sequence in sequences]
    if not rows:
        raise ValueError("there are no sequences to pad; at least one is needed")
    if shapes := [tuple(row.shape) for row in rows if row.ndim != 1]:
        raise ValueError(f"a sequence must be 1-D, a list of ids; got one of shape {shapes[0]}")
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)  # (B, T)


class EndlessBatches:
    """A stream of training batches without an end: ``stream[step]`` is the batch of a step.

    The base class of streams that cannot be iterated over. Without it, Python would iterate over
    ``stream[0]``, ``stream[1]``, … without an end.
    """

    def __iter__(self) -> NoReturn:
        """Raise TypeError."""
        raise TypeError(
            f"{type(self).__name__} is an endless stream of training batches: read the batch of "
            "one step, stream[step], or evaluate a list such as text_eval_batches returns"
        )


class TextBatches(EndlessBatches):
    """An endless stream of random windows of one text: ``stream[step]`` is the batch of a step.

    A batch depends on the seed and the step alone. A window consists of `context_length` inputs
    and, as targets, the same tokens shifted by one: inputs and targets are both (B, T).

    Windows are drawn with replacement, so that a batch may hold more than the N − T different
    windows. Without replacement, each epoch cuts the text into adjacent windows, from a random
    start on, and draws each of them once, in random order; a batch may hold the end of one epoch
    and the beginning of the next. The tokens before the first and after the last window, fewer
    than two windows in all, are left out of that epoch.

    Parameters
    ----------
    ids
        The N token ids of the text, (N,).
    batch_size
        B, the number of windows in a batch.
    context_length
        T, the number of inputs in a window.
    seed
        The seed of the order of the windows, a non-negative integer.
    without_replacement
        Whether to draw each window of an epoch once.

    Raises
    ------
    ValueError
        If `ids` are not non-negative integers, not 1-D or too few for a window, a size is not a
        positive integer, or the seed is not a non-negative integer.

    Examples
    --------
    >>> from utils.data.batches import TextBatches
    >>> stream = TextBatches(list(range(100)), batch_size=8, context_length=16)
    >>> batch = stream[0]
    >>> batch.inputs.shape, batch.targets.shape
    (torch.Size([8, 16]), torch.Size([8, 16]))
    >>> (batch.inputs[:, 1:] == batch.targets[:, :-1]).all()
    tensor(True)
    """

    def __init__(
        self,
        ids: Sequence[int] | np.ndarray | torch.Tensor,
        *,
        batch_size: int,
        context_length: int,
        seed: int = 0,
        without_replacement: bool = False,
    ) -> None:
        check_integer(minimum=0, seed=seed)
        check_bool(without_replacement=without_replacement)
        self.ids = _as_text_ids(ids, batch_size, context_length)
        if len(self.ids) <= context_length:
            raise ValueError(
                f"context_length={context_length} needs {context_length + 1} tokens; "
                f"there are {len(self.ids)}"
            )
        self.batch_size, self.context_length, self.seed = batch_size, context_length, seed
        self.without_replacement = without_replacement
        self.windows_per_epoch = max(1, (len(self.ids) - 1) // context_length - 1)
        self._epoch, self._epoch_starts = -1, np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        step = as_step(step)
        draw = self._starts_without_replacement if self.without_replacement else self._starts
        starts = torch.from_numpy(draw(step))  # (B,)
        windows = self.ids[starts[:, None] + torch.arange(self.context_length + 1)]  # (B, T + 1)
        return Batch(windows[:, :-1], windows[:, 1:])

    def _starts(self, step: int) -> np.ndarray:
        """Draw the first indices of a step's windows, with replacement: (B,)."""
        rng = np.random.default_rng([self.seed, step])
        return rng.integers(len(self.ids) - self.context_length, size=self.batch_size)

    def _starts_without_replacement(self, step: int) -> np.ndarray:
        """Draw the first indices of a step's windows, each once in an epoch: (B,)."""
        last_draw = (step + 1) * self.batch_size - 1
        if last_draw > np.iinfo(np.int64).max:
            raise ValueError(f"step {step} is too large: its windows have no number in int64")
        draws = step * self.batch_size + np.arange(self.batch_size)
        epochs, indices = np.divmod(draws, self.windows_per_epoch)
        return np.concatenate(
            [
                self._shuffled_starts(epoch)[indices[epochs == epoch]]
                for epoch in np.unique(epochs).tolist()
            ]
        )

    def _shuffled_starts(self, epoch: int) -> np.ndarray:
        """Return the first indices of all windows of an epoch, in its random order."""
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            first = rng.integers(len(self.ids) - self.windows_per_epoch * self.context_length)
            order = rng.permutation(self.windows_per_epoch)
            self._epoch, self._epoch_starts = epoch, first + self.context_length * order
        return self._epoch_starts


def text_eval_batches(
    ids: Sequence[int] | np.ndarray | torch.Tensor, *, batch_size: int, context_length: int
) -> list[Batch]:
    """Cut a text into windows in which every token after the first is a target exactly once.

    The text is cut into `batch_size` contiguous segments of equal length, and batch k consists of
    window k of each segment: row b of a batch continues row b of the previous batch. A model whose
    state is carried from batch to batch lacks context only at the beginning of a segment, a model
    that is reset lacks it at the beginning of every window. With ``batch_size=1`` and the state
    carried, every token is scored in its full context.

    Parameters
    ----------
    ids
        The N token ids of the text, (N,).
    batch_size
        B, the number of segments, N − 1 at most.
    context_length
        The number of inputs in a window; the last window may be shorter.

    Returns
    -------
    batches : list of Batch
        Inputs and targets (B, T). The last segment may be shorter than the others: it is padded
        with PAD and IGNORE_INDEX.

    Raises
    ------
    ValueError
        If `ids` are not non-negative integers, not 1-D or fewer than two, or a size is not a
        positive integer.

    Examples
    --------
    >>> from utils.data.batches import text_eval_batches
    >>> for batch in text_eval_batches([4, 5, 6, 7, 8, 9], batch_size=1, context_length=3):
    ...     print(batch.inputs.tolist(), batch.targets.tolist())
    [[4, 5, 6]] [[5, 6, 7]]
    [[7, 8]] [[8, 9]]
    """
    ids = _as_text_ids(ids, batch_size, context_length)
    if len(ids) < 2:
        raise ValueError(f"at least two tokens are needed to predict one; there are {len(ids)}")
    count = len(ids) - 1
    length = -(-count // min(batch_size, count))  # of a segment, rounded up
    starts = range(0, count, length)
    inputs = pad([ids[i : min(i + length, count)] for i in starts])  # (B, length)
    targets = pad([ids[i + 1 : i + length + 1] for i in starts], IGNORE_INDEX)  # (B, length)
    windows = [slice(i, i + context_length) for i in range(0, length, context_length)]
    return [Batch(inputs[:, window], targets[:, window]) for window in windows]  # (B, T)


def as_step(step: int) -> int:
    """Return the step of a stream as an int, whose products cannot overflow as those of numpy do.

    Raises
    ------
    ValueError
        If the step is not a non-negative integer.
    """
    if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
        raise ValueError(f"steps count from 0; got {step}")
    return int(step)


def _as_text_ids(ids: Any, batch_size: int, context_length: int) -> torch.Tensor:
    """Return `ids` as int64 (N,); raise ValueError for other ids, shapes or sizes."""
    check_positive(batch_size=batch_size, context_length=context_length)
    if getattr(ids, "ndim", 1) != 1:
        raise ValueError(f"expected one text, a 1-D tensor of ids; got shape {tuple(ids.shape)}")
    id_tensor = as_id_tensor(ids)
    check_ids_in_vocabulary(id_tensor)
    return id_tensor
