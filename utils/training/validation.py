"""Validation during training: the loss on held-out batches, and the parameters with the lowest.

Section 3.1 shows why the parameters of the lowest validation loss are kept (early stopping).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized

import torch
from torch import nn

from utils.training.evaluation import check_not_endless, count_tokens, evaluate
from utils.training.objectives import BatchT, TrainingBatch
from utils.training.state import History, TrainingState


def check_validation_batches(batches: Iterable[TrainingBatch]) -> None:
    """Check that validation batches can be read several times.

    Parameters
    ----------
    batches
        The validation batches of a run.

    Raises
    ------
    ValueError
        If they can be read only once or have no end, or if there is nothing to predict.
    """
    if isinstance(batches, Iterator):
        raise ValueError("valid is read again and again: give a list of batches, not an iterator")
    check_not_endless(batches)
    if isinstance(batches, Sized) and not len(batches):
        raise ValueError("nothing to evaluate: valid holds no batch")
    if isinstance(batches, Sequence):
        for batch in batches:
            if not hasattr(batch, "targets"):
                raise ValueError(
                    f"valid must hold batches with targets, got {type(batch).__name__}"
                )
        if not sum(map(count_tokens, batches)):
            raise ValueError("nothing to evaluate: the batches of valid hold no token to predict")


def validate(
    state: TrainingState,
    batches: Iterable[BatchT],
    on_validation: Callable[[History], None] | None = None,
) -> None:
    """Evaluate the model, record the loss, and copy the parameters if it is the lowest so far.

    A step that has been validated already is not validated again.

    Parameters
    ----------
    state
        The run.
    batches
        The validation batches.
    on_validation
        A function that is called with the history after the validation.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    valid_losses = state.history.valid_losses
    if valid_losses and valid_losses[-1][0] == state.step:
        return

    def loss_of_all_rows(
        loss_module: nn.Module, batch: BatchT, label_smoothing: float
    ) -> torch.Tensor:
        return state.processes.sum(loss_module(batch, label_smoothing))

    loss = evaluate(state.loss_module, batches, objective=loss_of_all_rows).loss
    state.check_finite(loss)
    if state.best_parameters is None or loss < min(earlier for _, earlier in valid_losses):
        tensors = state.model_tensors()
        state.best_parameters = {name: x.detach().clone() for name, x in tensors.items()}
        state.history.best_step = state.step
    valid_losses.append((state.step, loss))
    if on_validation is not None:
        on_validation(state.history)
