"""Batches of labelled texts, of equal length within a batch, so that none is padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from utils.conversions import as_integers
from utils.data.batches import pad
from utils.data.checks import as_id_list, as_id_tensor
from utils.data.grouped_batches import GroupedBatches, check_not_empty, group_by_length

LabelledExample: TypeAlias = tuple[list[int], int]  # ids of a text, and its label


@dataclass
class LabelledBatch:
    """Texts and their labels, for one step of a classifier.

    Parameters
    ----------
    inputs
        The ids of the texts, (B, S), padded with PAD at the end.
    targets
        Their labels, (B,).
    """

    inputs: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device | str) -> LabelledBatch:
        """Return the same batch on `device`."""
        return LabelledBatch(self.inputs.to(device), self.targets.to(device))


class LabelledBatches(GroupedBatches[LabelledBatch]):
    """Batches of labelled texts, reshuffled in each epoch: ``stream[step]`` is one batch.

    A batch depends on the seed and the step alone. It holds texts of one length as inputs (B, S)
    and their labels as targets (B,). Each epoch of ``len(stream)`` steps contains every text once,
    in newly composed batches and in random order. A length with few texts leads to a smaller batch.

    Parameters
    ----------
    examples
        The ids of each text, and its label.
    batch_size
        The largest number of texts in a batch.
    seed
        The seed of the order of the texts, a non-negative integer.

    Raises
    ------
    ValueError
        If there are no texts, a text is empty, an id is not a non-negative integer, a label is not
        an integer, `batch_size` is not a positive integer, or the seed is not a non-negative
        integer.
    """

    def __init__(
        self, examples: Sequence[LabelledExample], *, batch_size: int, seed: int = 0
    ) -> None:
        self.examples = _as_id_examples(examples)
        lengths = [len(ids) for ids, _ in self.examples]
        check_not_empty(lengths, "labelled example", "a text")
        super().__init__(lengths, batch_size=batch_size, seed=seed)

    def make_batch(self, indices: Sequence[int]) -> LabelledBatch:
        """Return the batch of the texts with these indices."""
        return _make_labelled_batch([self.examples[i] for i in indices])


def labelled_eval_batches(
    examples: Sequence[LabelledExample], *, batch_size: int
) -> list[LabelledBatch]:
    """Return every text once, in batches of equal length, short texts first.

    Parameters
    ----------
    examples
        The ids of each text, and its label.
    batch_size
        The largest number of texts in a batch.

    Returns
    -------
    batches : list of LabelledBatch
        The batches, whose content is that of `LabelledBatches`.

    Raises
    ------
    ValueError
        If there are no texts, a text is empty, an id is not a non-negative integer, a label is not
        an integer, or `batch_size` is not a positive integer.
    """
    examples = _as_id_examples(examples)
    lengths = [len(ids) for ids, _ in examples]
    check_not_empty(lengths, "labelled example", "a text")
    groups = group_by_length(lengths, batch_size=batch_size)
    return [_make_labelled_batch([examples[i] for i in group]) for group in groups]


def labelled_batch(examples: Sequence[LabelledExample]) -> LabelledBatch:
    """Make one batch of labelled texts.

    Parameters
    ----------
    examples
        The ids of each of B texts, and its label.

    Returns
    -------
    batch : LabelledBatch
        The texts as inputs (B, S), padded with PAD; the labels as targets (B,).

    Raises
    ------
    ValueError
        If there are no texts, an id is not a non-negative integer, or a label not an integer.
    """
    return _make_labelled_batch(_as_id_examples(examples))


def _make_labelled_batch(examples: Sequence[LabelledExample]) -> LabelledBatch:
    """Return the batch of examples whose ids and labels have been checked."""
    inputs = pad([ids for ids, _ in examples])  # (B, S)
    labels = as_id_tensor([label for _, label in examples], name="labels")  # (B,)
    return LabelledBatch(inputs, labels)


def _as_id_examples(examples: Sequence[LabelledExample]) -> list[LabelledExample]:
    """Return the examples as lists of ids and labels; raise ValueError for anything else."""
    examples = list(examples)  # they are read twice
    for number, example in enumerate(examples):
        if not isinstance(example, list | tuple) or len(example) != 2:
            raise ValueError(f"labelled example {number} must be ids and a label, got {example!r}")
    labels = as_integers([label for _, label in examples], name="labels")
    return [
        (as_id_list(ids, name=f"the ids of labelled example {number}"), label)
        for number, ((ids, _), label) in enumerate(zip(examples, labels, strict=True))
    ]
