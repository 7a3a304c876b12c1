"""Calibration: whether a classifier is right as often as it is confident (section 8.3).

The expected calibration error measures it; temperature scaling improves it (Guo et al. 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from utils.arguments import check_integer, check_positive

MAX_BINS = 10**6  # far more than there are predictions; more would fill the memory
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
        The mean probability and the proportion of correct predictions in each bin, (num_bins,); NaN
        in empty bins.
    count
        The number of predictions in each bin, (num_bins,).
    """

    error: float
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def expected_calibration_error(
    probabilities: ArrayLike | torch.Tensor,
    is_correct: ArrayLike | torch.Tensor,
    *,
    num_bins: int = 15,
) -> Calibration:
    """Compute the expected calibration error over bins of equal width.

    It is the mean absolute difference between confidence and accuracy, weighted by the counts of
    the bins. Bin m holds the probabilities above (m − 1) / num_bins and up to m / num_bins.

    Source: ``eq-ece`` (section 8.3); Guo et al. 2017.

    Parameters
    ----------
    probabilities
        The probability of the class that the model chose, (N,), as a list, an array or a tensor of
        any device and precision. The bounds of the bins are rounded to its precision, so that 0.07
        belongs to bin 7 of 100 in float32 as well.
    is_correct
        Whether the prediction was correct, (N,) bool.
    num_bins
        The number of bins.

    Returns
    -------
    calibration : Calibration
        The error and the bins.

    Raises
    ------
    ValueError
        If the arrays differ in shape, are empty or hold invalid values, or `num_bins` is not an
        integer from 1 to 10⁶.

    Examples
    --------
    >>> from utils.metrics.calibration import expected_calibration_error
    >>> probabilities, is_correct = [0.9, 0.9, 0.6, 0.6], [True, True, True, False]
    >>> calibration = expected_calibration_error(probabilities, is_correct, num_bins=10)
    >>> round(calibration.error, 3)
    0.1
    """
    check_positive(num_bins=num_bins)
    check_integer(minimum=1, maximum=MAX_BINS, num_bins=num_bins)
    # p * num_bins could be rounded to a number above its bin: 0.07 * 100 is 7.000000000000001
    bounds = np.arange(1, num_bins) / num_bins  # (num_bins − 1,), the upper bounds without 1
    p, hits = _as_array(probabilities), _as_array(is_correct)
    _check_predictions(p, hits)
    if isinstance(probabilities, torch.Tensor) and probabilities.is_floating_point():
        bounds = _as_array(torch.tensor(bounds).to(probabilities.dtype))
    elif p.dtype.kind == "f":
        bounds = bounds.astype(p.dtype)
    bin_indices = np.searchsorted(bounds, p)  # (N,)
    p, hits = p.astype(float), hits.astype(float)
    count = np.bincount(bin_indices, minlength=num_bins)  # (num_bins,)
    confidence = _bin_means(p, bin_indices, count)
    accuracy = _bin_means(hits, bin_indices, count)
    error = np.nansum(count * np.abs(accuracy - confidence)) / count.sum()
    return Calibration(float(error), confidence, accuracy, count)


def _as_array(values: ArrayLike | torch.Tensor) -> np.ndarray:
    """Return values as an array; those of a floating-point tensor as float64."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.double() if values.is_floating_point() else values).numpy()  # NumPy lacks bf16


def _check_predictions(p: np.ndarray, hits: np.ndarray) -> None:
    """Raise ValueError unless a calibration error can be computed from the arguments."""
    for name, array in (("probabilities", p), ("is_correct", hits)):
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} must be real numbers; got an array of {array.dtype}")
    if p.ndim != 1 or p.shape != hits.shape or not p.size:
        raise ValueError(
            "calibration needs a probability and True or False for each prediction, as two arrays "
            f"(N,); got shapes {p.shape} and {hits.shape}"
        )
    is_outside = ~((p >= 0) & (p <= 1))  # True for NaN
    if is_outside.any():
        raise ValueError(
            f"probabilities must be between 0 and 1; {is_outside.sum()} are not, the first of them "
            f"is {p[is_outside][0]}"
        )
    if not np.all((hits == 0) | (hits == 1)):
        raise ValueError("is_correct must be True or False for each prediction, not a class")


def _bin_means(values: np.ndarray, bin_indices: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the mean of the values in each bin, (N,) to (num_bins,); NaN in empty bins."""
    sums = np.bincount(bin_indices, values, len(count))
    means: np.ndarray = np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def fit_temperature(logits: ArrayLike | torch.Tensor, targets: ArrayLike | torch.Tensor) -> float:
    """Fit the temperature of temperature scaling, which minimizes the mean cross-entropy.

    The loss is convex in 1/T, so Newton's method with a shrinking bracket finds its minimum. Logits
    and targets must come from data on which the model was not trained.

    Source: ``eq-temperature-slope`` (section 8.3); Guo et al. 2017.

    Parameters
    ----------
    logits
        The model's logits, (N, num_classes), as a list, an array or a tensor.
    targets
        The correct classes, (N,) int, likewise.

    Returns
    -------
    temperature : float
        The temperature T, from 0.01 to 100.

    Raises
    ------
    ValueError
        If the shapes do not match, a target is not a class, the logits are complex, one is NaN or
        +∞, or the logit of a target is −∞, where the loss is infinite at every temperature.

    Examples
    --------
    >>> from utils.metrics.calibration import fit_temperature
    >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    >>> round(fit_temperature(logits, [0, 0, 1, 1]), 2)
    3.64
    """
    logits, targets = _as_tensor(logits, "logits"), _as_tensor(targets, "targets")
    _check_classification(logits, targets)
    logits, targets = logits.detach().cpu().double(), targets.cpu()
    # shift each row's maximum to 0 and make all finite: −∞ times zero would be NaN
    logits = (logits - logits.amax(1, keepdim=True)).clamp_min(-1e30)
    beta, low, high = 1.0, 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE  # beta = 1/T
    for _ in range(_MAX_STEPS):
        slope, curvature = _loss_derivatives(logits, targets, beta)
        if slope == 0:
            break
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton_beta = beta - slope / curvature if curvature > 0 else math.inf
        is_inside = low < newton_beta < high
        previous, beta = beta, newton_beta if is_inside else math.sqrt(low * high)
        if abs(beta - previous) < _TOLERANCE * previous:
            break
    return 1 / beta


def _as_tensor(values: ArrayLike | torch.Tensor, name: str) -> torch.Tensor:
    """Return values as a tensor; raise ValueError for what is not an array of numbers."""
    if isinstance(values, torch.Tensor):
        return values
    try:
        return torch.from_numpy(np.array(values))  # a copy, which torch can always read
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers ({error})") from error


def _check_classification(logits: torch.Tensor, targets: torch.Tensor) -> None:
    """Raise ValueError unless there is one class with a finite logit for each row."""
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or not len(logits):
        raise ValueError(
            "temperature needs logits (N, num_classes) and targets (N,); got "
            f"{tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    if logits.is_complex():
        raise ValueError(f"logits must be real numbers, got {logits.dtype}")
    is_integer = not (targets.is_floating_point() or targets.is_complex())
    # as int64, classes of uint64 beyond it become negative
    if not is_integer or not 0 <= targets.long().min() <= targets.long().max() < logits.shape[1]:
        raise ValueError(f"targets must be classes, integers from 0 to {logits.shape[1] - 1}")
    target_logits = logits.gather(1, targets[:, None].to(logits.device).long())[:, 0]  # (N,)
    is_broken = logits.isnan() | (logits == math.inf)  # (N, num_classes)
    rows = is_broken.any(1) | ~target_logits.isfinite()  # (N,)
    if rows.any():
        row = int(rows.nonzero()[0, 0])
        raise ValueError(
            f"logits must be finite, or −∞ for classes other than the target; row {row}, with "
            f"target {int(targets[row])}, is {logits[row].tolist()}"
        )


def _loss_derivatives(
    logits: torch.Tensor, targets: torch.Tensor, beta: float
) -> tuple[float, float]:
    """Return the first two derivatives of the mean loss with respect to beta = 1/T."""
    target_logits = logits.gather(1, targets[:, None].long())[:, 0]  # (N,)
    p = (beta * logits).softmax(1)  # (N, num_classes)
    mean = (p * logits).sum(1)  # (N,)
    slope = float((mean - target_logits).mean())
    curvature = float(((p * logits**2).sum(1) - mean**2).mean())  # variance of the logits under p
    return slope, curvature
