"""Evaluation: the loss and the perplexity of a model on given batches, also during training.

Section 3.1 shows why the parameters of the lowest validation loss are kept (early stopping).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import nn

from utils.contract import NextTokenModel
from utils.data.batches import IGNORE_INDEX, Batch, EndlessBatches
from utils.metrics.likelihood import perplexity
from utils.runtime import device_of, evaluation_mode, get_random_state, set_random_state
from utils.training.config import TrainConfig
from utils.training.objectives import (
    BatchStream,
    BatchT,
    ModelT,
    Objective,
    TrainingBatch,
    cross_entropy,
)
from utils.training.training_run import History, TrainingRun, Validation


@dataclass
class Evaluation:
    """The loss of a model on a text.

    Parameters
    ----------
    nll
        Total negative log-likelihood in nats.
    num_tokens
        Number of predicted tokens.
    """

    nll: float
    num_tokens: int

    @property
    def loss(self) -> float:
        """The negative log-likelihood in nats per token."""
        return self.nll / self.num_tokens

    @property
    def perplexity(self) -> float:
        """The exponential of `loss`."""
        return perplexity(self.nll, self.num_tokens)


@overload
def evaluate(model: NextTokenModel[Any], batches: Iterable[Batch]) -> Evaluation: ...


@overload
def evaluate(
    model: ModelT, batches: Iterable[BatchT], *, objective: Objective[ModelT, BatchT]
) -> Evaluation: ...


@torch.inference_mode()
def evaluate(
    model: Any, batches: Iterable[Any], *, objective: Objective[Any, Any] = cross_entropy
) -> Evaluation:
    """Evaluate `model` on `batches`, in evaluation mode, teacher-forced, without label smoothing.

    The loss is total loss over total tokens, so it does not depend on how a text is batched.

    Parameters
    ----------
    model
        The model to evaluate; afterwards it is in the mode it was in.
    batches
        A finite collection of batches, such as the list that ``text_eval_batches`` returns.
    objective
        The summed loss of a batch, for models and batches of these types.

    Returns
    -------
    evaluation : Evaluation
        The loss summed over all batches, and the number of tokens.

    Raises
    ------
    ValueError
        If there is no token to predict, or if `batches` has no end.
    """
    check_not_endless(batches)
    device = device_of(model)
    nll, num_tokens = 0.0, 0
    with evaluation_mode(model):
        for batch in batches:
            nll += float(objective(model, batch.to(device), 0.0))
            num_tokens += count_tokens(batch)
    if num_tokens == 0:
        raise ValueError("nothing to evaluate: the batches hold no token to predict")
    return Evaluation(nll, num_tokens)


def count_tokens(batch: TrainingBatch) -> int:
    """Return the number of predicted tokens in a batch, padding left out."""
    return int((batch.targets != IGNORE_INDEX).sum())


def check_not_endless(batches: object) -> None:
    """Check that a collection of batches has an end.

    Raises
    ------
    ValueError
        If it is a stream of training batches, which has a batch for every step, or is not iterable.
    """
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise ValueError(f"batches must be a list of batches, got {type(batches).__name__}")
    if isinstance(batches, EndlessBatches) or not isinstance(batches, Iterable):
        raise ValueError(
            f"{type(batches).__name__} is an endless stream of training batches: evaluate a list "
            "of batches, such as text_eval_batches returns"
        )


def check_training_batches(batches: BatchStream[TrainingBatch], config: TrainConfig) -> None:
    """Check that there is a batch for every step of a run.

    A collection may be shorter if it has the last batch nevertheless, as a stream whose length is
    that of an epoch; the batch is read to find out.

    Parameters
    ----------
    batches
        The batches by step.
    config
        The configuration of the run.

    Raises
    ------
    ValueError
        If there are too few batches, or they have no numbers.
    """
    if not hasattr(batches, "__getitem__"):
        raise ValueError(
            "batches[step] must be the batch of a step: expected a stream such as TextBatches or a "
            f"list, got {type(batches).__name__}"
        )
    num_batches = config.steps * config.accumulation_steps
    if not isinstance(batches, Sized) or len(batches) >= num_batches:
        return
    if isinstance(batches, Sequence) or not _has_batch(batches, num_batches - 1):
        raise ValueError(
            f"steps={config.steps} with accumulation_steps={config.accumulation_steps} need "
            f"{num_batches} batches, got {len(batches)}"
        )


def _has_batch(batches: BatchStream[TrainingBatch], step: int) -> bool:
    """Return whether there is a batch of a step; random numbers that it draws are drawn again."""
    random_state = get_random_state()
    try:
        batches[step]
    except LookupError:
        return False
    finally:
        set_random_state(random_state)
    return True


def check_validation_batches(batches: Iterable[TrainingBatch]) -> None:
    """Check that the validation batches of a run can be read several times.

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
        A function that is called with the history after the validation.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    validations = run.history.validations
    if validations and validations[-1].step == run.step:
        return

    def loss_of_all_rows(
        loss_module: nn.Module, batch: BatchT, label_smoothing: float
    ) -> torch.Tensor:
        return run.processes.sum(loss_module(batch, label_smoothing))

    loss = evaluate(run.loss_module, batches, objective=loss_of_all_rows).loss
    run.check_finite(loss)
    if run.best_parameters is None or loss < min(earlier.loss for earlier in validations):
        tensors = run.model_tensors()
        run.best_parameters = {name: x.detach().clone() for name, x in tensors.items()}
        run.history.best_step = run.step
    validations.append(Validation(run.step, loss))
    if on_validation is not None:
        on_validation(run.history)
