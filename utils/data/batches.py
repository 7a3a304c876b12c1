"""Batches of token ids: padding, and windows of one running text for training and evaluation.

A training stream gives its batch as a function of the step alone, so that a resumed run reads the
data that the uninterrupted one would have read. ``utils.data.pair_batches`` and
``utils.data.labelled_batches`` have the streams of sentence pairs and of labelled texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import torch

from utils.arguments import as_integers, check_positive
from utils.data.vocabulary import PAD

IGNORE = -100  # a target that no loss counts (torch's own default)


@dataclass
class Batch:
    """Inputs and targets of a model that predicts tokens, in one step.

    Parameters
    ----------
    inputs
        Token ids (B, T), padded with PAD at the end.
    targets
        The ids to predict (B, T), IGNORE at padding.
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


def pad(sequences: Sequence[Sequence[int] | torch.Tensor], value: int = PAD) -> torch.Tensor:
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
        If there are no sequences, or one holds anything but whole numbers.
    """
    if not len(sequences):
        raise ValueError("there are no sequences to pad; at least one is needed")
    rows = [as_id_tensor(sequence) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)  # (B, T)


def as_id_tensor(ids: Iterable[Any], *, name: str = "token ids") -> torch.Tensor:
    """Convert token ids, or other whole numbers, to a tensor.

    Parameters
    ----------
    ids
        N whole numbers, as a list, an array or a tensor; a tensor may have any shape.
    name
        What the numbers are, for the message.

    Returns
    -------
    tensor : torch.Tensor
        The numbers as int64, (N,) or in the tensor's shape.

    Raises
    ------
    ValueError
        If they are no whole numbers, such as 2.0, NaN or True, or too large for int64.
    """
    if isinstance(ids, np.ndarray):
        ids = torch.as_tensor(ids)
    if not isinstance(ids, torch.Tensor):
        integers = as_integers(ids, name=name)
        try:
            return torch.tensor(integers, dtype=torch.long)
        except (ValueError, RuntimeError, OverflowError) as error:  # by the version of torch
            raise ValueError(f"{name} are too large for int64: {error}") from error
    is_integer = not (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool)
    if not is_integer and ids.numel():  # an empty list becomes a tensor of float32
        raise ValueError(f"{name} are whole numbers; got a tensor of {ids.dtype}")
    return ids.to(torch.long)


class EndlessBatches:
    """A stream of training batches without an end: ``stream[step]`` is the batch of a step.

    It is the base class of such streams, and cannot be iterated over. Without it, Python would take
    a class with ``stream[0]``, ``stream[1]``, … for a sequence, and a loop would never end.
    """

    def __iter__(self) -> NoReturn:
        """Raise TypeError instead of a loop that never ends."""
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
        The seed of the order of the windows.
    without_replacement
        Whether to draw each window of an epoch once.

    Raises
    ------
    ValueError
        If `ids` are no whole numbers from 0 on, not 1-D or too few for a window, or a size is below
        1.
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
        check_step(step)
        draw = self._starts_without_replacement if self.without_replacement else self._starts
        starts = torch.from_numpy(draw(step))  # (B,)
        windows = self.ids[starts[:, None] + torch.arange(self.context_length + 1)]  # (B, T + 1)
        return Batch(windows[:, :-1], windows[:, 1:])

    def _starts(self, step: int) -> np.ndarray:
        """Draw the first indices of a step's windows, with replacement: (B,)."""
        random = np.random.default_rng([self.seed, step])
        return random.integers(len(self.ids) - self.context_length, size=self.batch_size)

    def _starts_without_replacement(self, step: int) -> np.ndarray:
        """Draw the first indices of a step's windows, each once in an epoch: (B,)."""
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
            random = np.random.default_rng([self.seed, epoch])
            first = random.integers(len(self.ids) - self.windows_per_epoch * self.context_length)
            order = random.permutation(self.windows_per_epoch)
            self._epoch, self._epoch_starts = epoch, first + self.context_length * order
        return self._epoch_starts


def text_eval_batches(
    ids: Sequence[int] | np.ndarray | torch.Tensor, *, batch_size: int, context_length: int
) -> list[Batch]:
    """Cut a text into windows in which every token after the first is a target exactly once.

    The text is cut into `batch_size` strips of equal length, and batch k holds window k of each
    strip: row b of a batch continues row b of the batch before. A model whose state is carried from
    batch to batch lacks context at the beginnings of the strips alone, a model that starts afresh
    at the beginning of every window. With ``batch_size=1`` and the state carried, every token is
    scored in its full context.

    Parameters
    ----------
    ids
        The N token ids of the text, (N,).
    batch_size
        B, the number of strips; at most N − 1 are made.
    context_length
        The number of inputs in a window; the last window may be shorter.

    Returns
    -------
    batches : list of Batch
        Inputs and targets (B, T). The last strip may be shorter than the others: PAD and IGNORE.

    Raises
    ------
    ValueError
        If `ids` are no whole numbers from 0 on, not 1-D or fewer than two, or a size is below 1.
    """
    ids = _as_text_ids(ids, batch_size, context_length)
    if len(ids) < 2:
        raise ValueError(f"two tokens are the least to predict one from; there are {len(ids)}")
    count = len(ids) - 1
    length = -(-count // min(batch_size, count))  # of a strip, rounded up
    starts = range(0, count, length)
    inputs = pad([ids[i : min(i + length, count)] for i in starts])  # (B, length)
    targets = pad([ids[i + 1 : i + length + 1] for i in starts], IGNORE)  # (B, length)
    windows = [slice(i, i + context_length) for i in range(0, length, context_length)]
    return [Batch(inputs[:, window], targets[:, window]) for window in windows]  # (B, T)


def check_step(step: int) -> None:
    """Check that a step of a stream is a whole number that is not negative.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
        raise ValueError(f"steps count from 0; got {step}")


def _as_text_ids(ids: Any, batch_size: int, context_length: int) -> torch.Tensor:
    """Return `ids` as int64 (N,); raise ValueError for other ids or shapes or a size below 1."""
    check_positive(batch_size=batch_size, context_length=context_length)
    if getattr(ids, "ndim", 1) != 1:
        raise ValueError(f"expected one text, a 1-D tensor of ids; got shape {tuple(ids.shape)}")
    ids = as_id_tensor(ids)
    if ids.numel() and ids.min() < 0:
        raise ValueError(f"token ids count from 0; got {int(ids.min())}")
    return ids
