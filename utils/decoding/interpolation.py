"""Linear interpolation of the probabilities of two language models.

Derived in section 4.1.1, for a neural model and an n-gram model (Bengio et al. 2003). The fusion of
two models during a search, for speech, is in ``utils.speech.shallow_fusion``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from utils.arguments import check_number
from utils.metrics.likelihood import MAX_LOG_PROB

MIXTURE_WEIGHTS = tuple(i / 100 for i in range(1, 100))
"""The weights that `best_mixture_weight` tries by default: 0.01, 0.02, … 0.99."""


def mix_log_probs(
    log_probs_a: torch.Tensor, log_probs_b: torch.Tensor, weight: float
) -> torch.Tensor:
    """Compute log(weight · a + (1 − weight) · b) for the probabilities of two models a and b.

    Source: ``eq-nnlm-mixture`` (section 4.1.1); Bengio et al. 2003.

    Parameters
    ----------
    log_probs_a, log_probs_b
        Log-probabilities of the same shape (…).
    weight
        The weight of a, above 0 and below 1.

    Returns
    -------
    log_probs : torch.Tensor
        The log-probabilities of the mixture, (…).

    Raises
    ------
    ValueError
        If the weight is not between 0 and 1, or the log-probabilities are not tensors, differ in
        shape or are complex.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.interpolation import mix_log_probs
    >>> log_probs_a, log_probs_b = torch.tensor([0.8, 0.1]).log(), torch.tensor([0.2, 0.5]).log()
    >>> mix_log_probs(log_probs_a, log_probs_b, 0.5).exp()
    tensor([0.5000, 0.3000])
    """
    check_number(above=0, below=1, weight=weight)
    for log_probs in (log_probs_a, log_probs_b):
        if not isinstance(log_probs, torch.Tensor):
            raise ValueError(
                "log-probabilities must be tensors, such as token_log_probs returns; got "
                f"{type(log_probs).__name__}"
            )
        if not log_probs.is_floating_point():  # complex, or integers, which may lack a sign
            raise ValueError(
                "log-probabilities must be floating-point numbers, not complex ones or integers: "
                f"got a tensor of {log_probs.dtype}"
            )
        if (log_probs > MAX_LOG_PROB).any():
            raise ValueError(
                f"a log-probability is at most 0, got {float(log_probs.max()):.3g}: give log p, "
                "not p or −log p"
            )
    if log_probs_a.shape != log_probs_b.shape:
        raise ValueError(
            "a mixture needs two log-probabilities for each token; got shapes "
            f"{tuple(log_probs_a.shape)} and {tuple(log_probs_b.shape)}"
        )
    return torch.logaddexp(log_probs_a + math.log(weight), log_probs_b + math.log(1 - weight))


def best_mixture_weight(
    log_probs_a: torch.Tensor,
    log_probs_b: torch.Tensor,
    weights: Iterable[float] = MIXTURE_WEIGHTS,
) -> float:
    """Return the weight of model a at which the mean log-probability of the mixture is highest.

    The weight is a hyperparameter: choose it on validation text.

    Parameters
    ----------
    log_probs_a, log_probs_b
        The log-probabilities of each token of one text by the two models, (N,).
    weights
        The weights to try.

    Returns
    -------
    weight : float
        The best of `weights`.

    Raises
    ------
    ValueError
        If there are no weights or one of them is not between 0 and 1, if the log-probabilities
        are not tensors of one shape or one is above 0, or if the mean is not finite: there are no
        tokens, there is NaN, or both models give a token probability 0.
    """
    weights = list(weights)
    if not weights:
        raise ValueError("weights is empty: expected at least one, such as 0.5")
    means = [float(mix_log_probs(log_probs_a, log_probs_b, weight).mean()) for weight in weights]
    if not all(map(math.isfinite, means)):
        raise ValueError(
            f"no weight is best: the mean log-probability of the mixture is {means[0]}; there must "
            "be a token, no NaN, and for each token a probability above 0 by one of the models"
        )
    return weights[means.index(max(means))]
