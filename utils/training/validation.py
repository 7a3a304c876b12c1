"""Validation during a run: its loss is recorded, and the parameters of the lowest one are kept.

Section 3.1 shows why these are the parameters that `fit` returns (early stopping).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from utils.runtime import evaluation_mode
from utils.training.evaluation import evaluate
from utils.training.history import History, Validation
from utils.training.protocols import BatchT
from utils.training.training_run import TrainingRun


def validate(
    run: TrainingRun,
    batches: Iterable[BatchT],
    on_validation: Callable[[History], None] | None = None,
) -> None:
    """Evaluate the model, record the loss, and copy the parameters if it is the lowest so far.

    A step that has been validated already is not validated again.

    Parameters
    ----------
    run
        The run that is validated; its history gets the loss.
    batches
        The validation batches.
    on_validation
        A function that is called with the history after the validation, with the model in
        evaluation mode: what it samples from the model is drawn without dropout.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    validations = run.history.validations
    if validations and validations[-1].step == run.step:
        return

    def loss_of_all_rows(loss_module: nn.Module, batch: BatchT) -> torch.Tensor:
        return run.processes.all_reduce(loss_module(batch))

    loss = evaluate(run.loss_module, batches, objective=loss_of_all_rows).loss
    run.check_finite(loss)
    if run.best_parameters is None or loss < min(earlier.loss for earlier in validations):
        tensors = run.model_tensors()
        run.best_parameters = {name: x.detach().clone() for name, x in tensors.items()}
        run.history.best_step = run.step
    validations.append(Validation(run.step, loss))
    if on_validation is not None:
        with evaluation_mode(run.loss_module):
            on_validation(run.history)
