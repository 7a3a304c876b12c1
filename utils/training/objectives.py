"""Objectives: what a training run minimizes.

An objective is a function of a model and a batch: the sum of the negative log-likelihoods of the
batch's targets, in nats. The training loop divides it by the number of targets, so that accumulated
batches and several processes give the gradient of one large batch. `token_nll` and `label_nll` are
plain objectives. `token_objective` and `label_objective` make those with label smoothing, which
smooth in training mode only: in evaluation mode, as for `evaluate`, the loss is the plain one.

Derived in sections 5.2 (cross-entropy) and 6.1 (label smoothing, Szegedy et al. 2016).
``adversarial`` and ``utils.speech`` have more objectives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_number
from utils.contract import NextTokenModel, TextClassifier, needs_first_state
from utils.data.batches import IGNORE_INDEX, Batch
from utils.data.checks import is_integer_tensor
from utils.data.labelled_batches import LabelledBatch
from utils.training.protocols import BatchT_contra, ModelT_contra, Objective, TrainingBatch


def token_nll(model: NextTokenModel[Any], batch: Batch) -> torch.Tensor:
    """Compute the negative log-likelihood of a batch by a language model or an encoder–decoder.

    The model is teacher-forced: it predicts all T targets of a row in one call. If the batch has a
    source, the call starts from the state that `model.begin` returns for it.

    Source: ``eq-cross-entropy`` (section 5.2).

    Parameters
    ----------
    model
        A language model, or an encoder–decoder, of the contract in ``utils.contract``.
    batch
        Inputs (B, T), targets (B, T) and source (B, S) or None.

    Returns
    -------
    loss : torch.Tensor
        The negative log-likelihood summed over the targets, in nats, a scalar.

    Raises
    ------
    ValueError
        If the batch is not one of tokens or the model one that predicts them; if the batch has a
        source and the model is not an encoder–decoder of tokens, or vice versa; if the targets do
        not have the shape of the inputs; or if, on the CPU, an id is outside the vocabulary.

    Examples
    --------
    >>> from utils.data.batches import text_eval_batches
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> from utils.training.objectives import token_nll
    >>> model = NGramLM.mle(NGramCounts([4, 5, 4, 5, 4, 6], order=2, vocab_size=7))
    >>> (batch,) = text_eval_batches([4, 5, 4, 6], batch_size=1, context_length=8)
    >>> loss = token_nll(model, batch)  # −log (2/3 · 1 · 1/3)
    >>> round((-loss).exp().item(), 4)
    0.2222
    """
    return summed_nll(_token_logits(model, batch), batch.targets)


def token_objective(*, label_smoothing: float) -> Objective[NextTokenModel[Any], Batch]:
    """Make the objective of a language model or an encoder–decoder with label smoothing.

    Source: ``eq-label-smoothing`` (section 6.1).

    Parameters
    ----------
    label_smoothing
        Probability mass that is taken from each target and spread over the vocabulary.

    Returns
    -------
    objective : Objective
        `token_nll` with label smoothing in training mode.

    Raises
    ------
    ValueError
        If `label_smoothing` is not from 0 to 1.
    """
    return _smoothed(_token_logits, label_smoothing)


def is_training(model: object) -> bool:
    """Return whether a model is in training mode, which only a torch module has."""
    return isinstance(model, nn.Module) and model.training


def _token_logits(model: NextTokenModel[Any], batch: Batch) -> torch.Tensor:
    """Compute the logits (B, T, V) of the targets of a batch; raise ValueError for another kind."""
    if not hasattr(batch, "source"):
        raise ValueError(
            f"{type(batch).__name__} is not a batch of tokens to predict, as it has no attribute "
            "`source`: train a classifier with objective=label_nll, and others with their own"
        )
    try:
        with _vocabulary_of_inputs(batch.inputs, batch.source):
            logits, _ = model(batch.inputs, _first_state(model, batch.source))
    except TypeError as error:  # of the call itself, or of something inside
        if not _takes_ids_alone(model):
            raise
        raise ValueError(
            f"{type(model).__name__} is called without a state, so it predicts no next token: "
            "train a classifier on labelled batches with objective=label_nll"
        ) from error
    return logits


def _takes_ids_alone(model: Any) -> bool:
    """Return whether a model cannot be called with a state; False where that is not known."""
    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = [parameter.kind for parameter in parameters]
    return len(kinds) < 2 and inspect.Parameter.VAR_POSITIONAL not in kinds


def _first_state(model: Any, source: torch.Tensor | None) -> Any:
    """Return the state before the first token, which an encoder–decoder computes from `source`.

    Raise ValueError if one of the two has no use for the other.
    """
    name = type(model).__name__
    if not needs_first_state(model):
        if source is None:
            return None
        raise ValueError(
            f"the batch has a source, but {name} is not an encoder–decoder: it has no begin()"
        )
    if source is None:
        raise ValueError(f"{name} starts from model.begin(source), but the batch has no source")
    try:
        return model.begin(source)
    except TypeError:  # of the call itself, or of something inside
        _require_source_alone(model, source)
        raise


def _require_source_alone(model: Any, source: torch.Tensor) -> None:
    """Raise ValueError if the model's begin() needs more than a source."""
    try:
        inspect.signature(model.begin).bind(source)
    except TypeError as error:
        raise ValueError(
            f"{type(model).__name__} is not an encoder–decoder of tokens, whose begin() takes a "
            f"source alone ({error}): use its own objective, such as those of utils.speech.training"
        ) from error


def label_nll(model: TextClassifier, batch: LabelledBatch) -> torch.Tensor:
    """Compute the negative log-likelihood of the labels of a batch by a classifier.

    Parameters
    ----------
    model
        A classifier: ``model(ids)`` returns logits (B, number of classes).
    batch
        The ids of the texts (B, S), and their labels as targets (B,).

    Returns
    -------
    loss : torch.Tensor
        The negative log-likelihood summed over the labels, in nats, a scalar.

    Raises
    ------
    ValueError
        If the model is not a classifier, if there is not one label for each text, or if, on the
        CPU, an id is outside the vocabulary or a label not a class of the model.
    """
    return summed_nll(_label_logits(model, batch), batch.targets)


def label_objective(*, label_smoothing: float) -> Objective[TextClassifier, LabelledBatch]:
    """Make the objective of a classifier with label smoothing.

    Parameters
    ----------
    label_smoothing
        Probability mass that is taken from each label and spread over all classes.

    Returns
    -------
    objective : Objective
        `label_nll` with label smoothing in training mode.

    Raises
    ------
    ValueError
        If `label_smoothing` is not from 0 to 1.
    """
    return _smoothed(_label_logits, label_smoothing)


def _label_logits(model: TextClassifier, batch: LabelledBatch) -> torch.Tensor:
    """Compute the logits (B, number of classes) of the texts of a batch."""
    with _vocabulary_of_inputs(batch.inputs):
        logits = model(batch.inputs)
    if not isinstance(logits, torch.Tensor):
        raise ValueError(
            f"{type(model).__name__} is not a classifier: it returns a {type(logits).__name__} and "
            "not the logits alone; train a language model with objective=token_nll"
        )
    return logits


def _smoothed(
    logits_of: Callable[[ModelT_contra, BatchT_contra], torch.Tensor], label_smoothing: float
) -> Objective[ModelT_contra, BatchT_contra]:
    """Make an objective from the logits of a batch, which smooths labels in training mode."""
    check_number(minimum=0, maximum=1, label_smoothing=label_smoothing)

    def objective(model: Any, batch: Any) -> torch.Tensor:
        smoothing = label_smoothing if is_training(model) else 0.0
        return summed_nll(logits_of(model, batch), batch.targets, label_smoothing=smoothing)

    return objective


@contextmanager
def _vocabulary_of_inputs(*ids: torch.Tensor | None) -> Iterator[None]:
    """Raise ValueError in place of the IndexError of an embedding that lacks one of `ids`."""
    try:
        yield
    except IndexError as error:
        if "index out of range in self" not in str(error):
            raise
        given = [x for x in ids if x is not None]
        smallest, largest = min(int(x.min()) for x in given), max(int(x.max()) for x in given)
        raise ValueError(
            f"input ids must be in the model's vocabulary, but the batch has ids from {smallest} "
            f"to {largest}: build the model with vocab_size=len(tokenizer)"
        ) from error


def summed_nll(
    logits: torch.Tensor, targets: torch.Tensor, *, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Sum the negative log-likelihood of targets, padding left out.

    It is never computed in half precision.

    Parameters
    ----------
    logits
        Logits (…, V) of each target.
    targets
        The correct tokens or labels (…), IGNORE_INDEX at padding.
    label_smoothing
        Probability mass that label smoothing takes from each target and spreads over all V.

    Returns
    -------
    loss : torch.Tensor
        The sum in nats, a scalar.

    Raises
    ------
    ValueError
        If `label_smoothing` is not from 0 to 1, if there is not one target for each row of logits,
        if logits are integers or targets are not, or if, on the CPU, a target is neither from 0 to
        V − 1 nor IGNORE_INDEX; a GPU reports that as an error of the device, as reading the targets
        would wait for it.

    Examples
    --------
    >>> import torch
    >>> from utils.training.objectives import summed_nll
    >>> logits = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]]).log()
    >>> summed_nll(logits, torch.tensor([0, -100]))  # −log 0.5, and padding
    tensor(0.6931)
    """
    check_number(minimum=0, maximum=1, label_smoothing=label_smoothing)
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"targets must have the shape {tuple(logits.shape[:-1])} of the logits "
            f"{tuple(logits.shape)} without V, got {tuple(targets.shape)}"
        )
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point numbers, got a tensor of {logits.dtype}")
    if not is_integer_tensor(targets):
        raise ValueError(f"targets must be integers, got a tensor of {targets.dtype}")
    V = logits.shape[-1]
    logits = logits.reshape(-1, V)  # (number of targets, V)
    try:
        return F.cross_entropy(
            logits if logits.dtype == torch.float64 else logits.float(),
            targets.flatten().long(),  # a model reads ids of int32 as well, this loss does not
            ignore_index=IGNORE_INDEX,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
    except IndexError as error:
        is_wrong = (targets != IGNORE_INDEX) & ((targets < 0) | (targets >= V))
        wrong = sorted(set(targets[is_wrong].tolist()))
        raise ValueError(
            f"targets must be from 0 to {V - 1}, as the model predicts {V} tokens or classes, or "
            f"IGNORE_INDEX at padding; got {wrong[:5]}"
        ) from error


def count_tokens(batch: TrainingBatch) -> int:
    """Return the number of predicted tokens in a batch, padding left out.

    Raises
    ------
    ValueError
        If it is no batch: if it has no tensor `targets`.
    """
    if not isinstance(getattr(batch, "targets", None), torch.Tensor):
        raise ValueError(
            f"{type(batch).__name__} is not a batch, as it has no tensor `targets`: make a Batch "
            "of utils.data.batches, with the inputs and the targets"
        )
    return int((batch.targets != IGNORE_INDEX).sum())
