"""Calibration: whether a classifier is right as often as it is confident (section 8.3).

The expected calibration error measures it; dividing the logits by a fitted temperature improves it
(Guo et al. 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

MIN_TEMPERATURE = 0.01
MAX_TEMPERATURE = 100.0
_MAX_STEPS = 100  # of Newton's method
_TOLERANCE = 1e-9  # relative change of 1/T at which it stops


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error and the bins from which it is computed.

    Parameters
    ----------
    error
        The expected calibration error, from 0 to 1.
    confidence, accuracy
        The mean probability and the proportion of correct predictions in each bin, (bins,); NaN in
        empty bins.
    count
        The number of predictions in each bin, (bins,).
    """

    error: float
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def expected_calibration_error(
    probabilities: ArrayLike, correct: ArrayLike, *, bins: int = 15
) -> Calibration:
    """Compute the expected calibration error over bins of equal width.

    It is the mean distance between confidence and accuracy, weighted by the size of the bins.
    Bin m holds the probabilities above (m − 1) / bins and up to m / bins.

    Source: ``eq-ece`` (section 8.3); Guo et al. 2017.

    Parameters
    ----------
    probabilities
        The probability of the class that the model chose, (N,).
    correct
        Whether it was the right class, (N,) bool.
    bins
        The number of bins.

    Returns
    -------
    Calibration
        The error and the bins.

    Raises
    ------
    ValueError
        If the two arrays differ in shape, are empty or hold other values, or there is no bin.
    """
    p, is_correct = np.asarray(probabilities), np.asarray(correct)
    _check_predictions(p, is_correct, bins)
    p, is_correct, bins = p.astype(float), is_correct.astype(float), int(bins)
    bin_index = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)  # (N,)
    count = np.bincount(bin_index, minlength=bins)  # (bins,)
    confidence = _bin_means(p, bin_index, count)
    accuracy = _bin_means(is_correct, bin_index, count)
    error = np.nansum(count * np.abs(accuracy - confidence)) / count.sum()
    return Calibration(float(error), confidence, accuracy, count)


def _check_predictions(p: np.ndarray, is_correct: np.ndarray, bins: int) -> None:
    """Raise ValueError for arguments from which no calibration error can be computed."""
    if p.ndim != 1 or p.shape != is_correct.shape or not p.size:
        raise ValueError(
            "calibration needs one probability and one judgement a prediction, as two arrays (N,); "
            f"got shapes {p.shape} and {is_correct.shape}"
        )
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"probabilities lie between 0 and 1; got {p.min()} to {p.max()}")
    if not np.all((is_correct == 0) | (is_correct == 1)):
        raise ValueError("correct must be true or false for each prediction, not the class itself")
    if bins < 1 or bins != int(bins):
        raise ValueError(f"bins must be a whole number from 1, got {bins}")


def _bin_means(values: np.ndarray, bin_index: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the mean of the values in each bin, (N,) to (bins,); NaN in empty bins."""
    sums = np.bincount(bin_index, values, len(count))
    return np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Fit the temperature T, from 0.01 to 100, of temperature scaling: least mean cross-entropy.

    The loss is convex in 1/T, so Newton's method, kept within the bounds that remain possible,
    finds its minimum. Logits and targets must come from data on which the model was not trained.

    Source: ``eq-temperature-slope`` (section 8.3); Guo et al. 2017.

    Parameters
    ----------
    logits
        The model's logits, (N, V).
    targets
        The right classes, (N,) int.

    Returns
    -------
    float
        The temperature T.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a target is not a class.
    """
    _check_classification(logits, targets)
    z, targets = logits.detach().cpu().double(), targets.cpu()
    z = (z - z.amax(1, keepdim=True)).clamp_min(-1e30)  # (N, V); −∞ times zero would be NaN
    beta, low, high = 1.0, 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE  # beta = 1/T
    for _ in range(_MAX_STEPS):
        slope, curvature = _loss_derivatives(z, targets, beta)
        if slope == 0:
            break
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton = beta - slope / curvature if curvature > 0 else math.inf
        previous, beta = beta, newton if low < newton < high else math.sqrt(low * high)
        if abs(beta - previous) < _TOLERANCE * previous:
            break
    return 1 / beta


def _check_classification(logits: torch.Tensor, targets: torch.Tensor) -> None:
    """Raise ValueError unless there is one class for each row of logits."""
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or not len(logits):
        raise ValueError(
            "temperature needs logits (N, V) and targets (N,); got "
            f"{tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise ValueError(f"targets must be classes from 0 to {logits.shape[1] - 1}")


def _loss_derivatives(z: torch.Tensor, targets: torch.Tensor, beta: float) -> tuple[float, float]:
    """Return the first two derivatives of the mean loss with respect to beta = 1/T."""
    chosen = z.gather(1, targets[:, None].long())[:, 0]  # (N,)
    p = (beta * z).softmax(1)  # (N, V)
    mean = (p * z).sum(1)  # (N,)
    slope = float((mean - chosen).mean())
    curvature = float(((p * z**2).sum(1) - mean**2).mean())  # the variance of z under p
    return slope, curvature
