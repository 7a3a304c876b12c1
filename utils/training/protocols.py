"""What training asks of batches, of their streams and of objectives, as types.

Model, batches and objective of a run belong together: an `Objective` has the types of the models
and of the batches that it can compute a loss of, and `fit` and `evaluate` need one of their model
and their batches.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


ModelT_contra = TypeVar("ModelT_contra", contravariant=True)


BatchT = TypeVar("BatchT", bound="TrainingBatch")


BatchT_co = TypeVar("BatchT_co", covariant=True)


BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


class TrainingBatch(Protocol):
    """A batch as training sees it; ``utils.data.batches.Batch`` is one."""

    @property
    def targets(self) -> torch.Tensor:
        """The tokens or labels to predict, with the batch first; IGNORE_INDEX at padding."""
        ...

    def to(self: BatchT, device: torch.device) -> BatchT:
        """Return the same batch on `device`."""
        ...


class BatchStream(Protocol[BatchT_co]):
    """Training batches as a function of the step, so that a resumed run reads the same data."""

    def __getitem__(self, step: int, /) -> BatchT_co:
        """Return the batch of a step, counted from 0."""
        ...


class Objective(Protocol[ModelT_contra, BatchT_contra]):
    """A loss that `fit` minimizes: a function of a model and a batch."""

    def __call__(self, model: ModelT_contra, batch: BatchT_contra, /) -> torch.Tensor:
        """Compute the loss of a model on a batch.

        Parameters
        ----------
        model
            A model of the kind that the objective is made for.
        batch
            A `TrainingBatch` of the sort that the model reads.

        Returns
        -------
        loss : torch.Tensor
            The loss summed over the targets, in nats, a scalar.
        """
        ...
