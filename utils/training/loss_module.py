"""A model and its objective as one module, which computes the loss of one process's rows.

The wrappers of torch that distribute a model see calls of its `forward` only, so the loss must be
computed there. Section 7.2 derives why each process may compute the loss of its own rows alone.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Generic

import torch
from torch import nn

from utils.data.batches import IGNORE_INDEX
from utils.training.protocols import BatchT, ModelT, Objective


class LossModule(nn.Module, Generic[ModelT, BatchT]):
    """A model and its objective as one module.

    Parameters
    ----------
    model
        The model to train.
    objective
        The summed loss of a batch.
    rank, world_size
        The number of this process, from 0, and the number of all processes.
    """

    def __init__(
        self,
        model: ModelT,
        objective: Objective[ModelT, BatchT],
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.rank = rank
        self.world_size = world_size

    def forward(self, batch: BatchT) -> torch.Tensor:
        """Compute the loss of this process's rows of a batch.

        Parameters
        ----------
        batch
            The whole batch, the same in every process.

        Returns
        -------
        loss : torch.Tensor
            The loss summed over the targets of these rows, in nats, a scalar.
        """
        return self.objective(self.model, local_rows(batch, self.rank, self.world_size))


def local_rows(batch: BatchT, rank: int, world_size: int) -> BatchT:
    """Select the rows of a batch that one process reads: rank, rank + world_size, ….

    A process for which no row is left must still take part in every exchange. It gets the first row
    with all targets IGNORE_INDEX, whose loss and gradients are zero.

    Parameters
    ----------
    batch
        A dataclass of tensors with the batch first, `targets` among them, or None.
    rank, world_size
        The number of the process, from 0, and the number of all processes.

    Returns
    -------
    rows : TrainingBatch
        A batch of these rows, of the same class; the batch itself for a single process.
    """
    if world_size == 1:
        return batch
    assert is_dataclass(batch) and not isinstance(batch, type), (
        f"a batch is a dataclass of tensors, not {type(batch).__name__}"
    )
    tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
    is_empty = len(tensors["targets"]) <= rank
    rows = slice(0, 1) if is_empty else slice(rank, None, world_size)
    local = {name: None if x is None else x[rows] for name, x in tensors.items()}
    if is_empty:
        local["targets"] = torch.full_like(tensors["targets"][rows], IGNORE_INDEX)
    return replace(batch, **local)
