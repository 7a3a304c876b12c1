"""Evaluation: the loss and the perplexity of a model on given batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, overload

import torch

from utils.contract import NextTokenModel
from utils.data.batches import Batch
from utils.metrics.likelihood import perplexity
from utils.runtime import device_of, evaluation_mode
from utils.training.batch_checks import check_not_endless
from utils.training.objectives import BatchT, ModelT, Objective, count_tokens, cross_entropy


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
