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
from utils.training.objectives import count_tokens, token_nll
from utils.training.protocols import BatchT, ModelT, Objective


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
    model: Any, batches: Iterable[Any], *, objective: Objective[Any, Any] = token_nll
) -> Evaluation:
    """Evaluate `model` on `batches`, in evaluation mode, teacher-forced.

    The loss is total loss over total tokens, so that for sentence pairs and labelled texts it does
    not depend on how they are batched. No state passes from batch to batch: a window of a running
    text is read without the tokens before it, and the loss depends on where the text is cut, so on
    its batch size and context length.

    Parameters
    ----------
    model
        The model to evaluate; afterwards it is in the mode it was in.
    batches
        A finite collection of batches, such as the list that ``text_eval_batches`` returns.
    objective
        The summed loss of a batch, for models and batches of these types. In evaluation mode those
        with label smoothing do not smooth.

    Returns
    -------
    evaluation : Evaluation
        The loss summed over all batches, and the number of tokens.

    Raises
    ------
    ValueError
        If there is no token to predict, or if `batches` has no end.

    Examples
    --------
    >>> from utils.data.batches import text_eval_batches
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> from utils.training.evaluation import evaluate
    >>> model = NGramLM.add_k(NGramCounts([4, 5, 4, 5, 4, 6], order=2, vocab_size=7), k=0.1)
    >>> batches = text_eval_batches([4, 5, 4, 5, 4, 6], batch_size=1, context_length=8)
    >>> result = evaluate(model, batches)
    >>> result.num_tokens, round(result.perplexity, 2)
    (5, 1.77)
    """
    check_not_endless(batches)
    device = device_of(model)
    nll, num_tokens = 0.0, 0
    with evaluation_mode(model):
        for batch in batches:
            nll += float(objective(model, batch.to(device)))
            num_tokens += count_tokens(batch)
    if num_tokens == 0:
        raise ValueError("nothing to evaluate: the batches hold no token to predict")
    return Evaluation(nll, num_tokens)
