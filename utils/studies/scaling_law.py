"""The scaling law: loss as a function of parameters and training tokens, its fit and its optimum.

Derived in section 2.2; all three follow Hoffmann et al. 2022 ("Training Compute-Optimal Large
Language Models"), whose letters the law keeps. A model with N parameters, trained on D tokens,
costs about C = 6·N·D floating-point operations. ``utils.studies.scaling_runs`` measures losses to
which the law can be fitted.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Array: TypeAlias = npt.NDArray[np.float64]

HUBER_DELTA = 1e-3  # residual at which the Huber loss becomes linear, as in Hoffmann et al.
MIN_RUNS = 6  # one more than the law has constants
LOG_TOLERANCE = 1e-9  # half the interval of a logarithm that is not to vary


@dataclass(frozen=True)
class ScalingLaw:
    """Loss of a model as a function of its size and data: L(N, D) = E + A / N^α + B / D^β.

    Source: ``eq-scaling-law`` (section 2.2); Hoffmann et al. 2022, eq. 2.

    Parameters
    ----------
    E
        Irreducible loss in nats per token: the limit for large N and D.
    A, alpha
        Coefficient and exponent of the term for N, the number of parameters.
    B, beta
        Coefficient and exponent of the term for D, the number of training tokens.

    Raises
    ------
    ValueError
        If a constant is not a positive number; E may be 0.

    Examples
    --------
    >>> from utils.studies.scaling_law import ScalingLaw
    >>> law = ScalingLaw(E=1.7, A=400, alpha=0.34, B=410, beta=0.28)
    >>> print(f"{law.loss(1e9, 20e9):.3f}")
    2.584
    >>> num_parameters, num_tokens = law.optimum(1e20)
    >>> print(f"{num_parameters:.2e} {num_tokens:.2e}")
    6.30e+08 2.64e+10
    """

    E: float
    A: float
    alpha: float
    B: float
    beta: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf or (value == 0 and name != "E"):
                raise ValueError(f"{name} of a scaling law must be a positive number, got {value}")

    def loss(self, num_parameters: npt.ArrayLike, num_tokens: npt.ArrayLike) -> Array:
        """Compute the loss of models by the law.

        Source: ``eq-scaling-law`` (section 2.2).

        Parameters
        ----------
        num_parameters, num_tokens
            N and D, numbers or arrays, which are broadcast.

        Returns
        -------
        loss : numpy.ndarray
            The loss in nats per token.

        Raises
        ------
        ValueError
            If an N or D is not finite and above 0.
        """
        N = _as_positive_array(num_parameters, "num_parameters")
        D = _as_positive_array(num_tokens, "num_tokens")
        return self.E + self.A * N**-self.alpha + self.B * D**-self.beta

    def optimum(self, compute: npt.ArrayLike) -> tuple[Array, Array]:
        """Compute the size and data of the model with the lowest loss for a budget of operations.

        Source: ``eq-scaling-optimum`` (section 2.2); Hoffmann et al. 2022, eq. 4.

        Parameters
        ----------
        compute
            C, floating-point operations of the whole training, a number or an array.

        Returns
        -------
        num_parameters, num_tokens : numpy.ndarray
            N and D, shaped like `compute`, with 6·N·D = C; not rounded to integers.

        Raises
        ------
        ValueError
            If a budget is not finite and above 0.
        """
        exponents = self.alpha + self.beta
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1 / exponents)  # G
        product = _as_positive_array(compute, "compute") / 6  # N·D
        num_parameters = ratio * product ** (self.beta / exponents)
        num_tokens = product ** (self.alpha / exponents) / ratio
        return num_parameters, num_tokens


def fit_scaling_law(
    num_parameters: Sequence[float] | Array,
    num_tokens: Sequence[float] | Array,
    losses: Sequence[float] | Array,
    *,
    E: float | None = None,
) -> ScalingLaw:
    """Fit a scaling law to the losses of trained models.

    The law has the smallest sum of Huber losses of log L(N, D) − log loss, so that a few failed
    runs have little influence. The search starts from a grid of points and keeps the best result.

    The constants are searched within bounds: E from exp(−5) nats, or a hundredth of the lowest
    loss, to the lowest loss; the exponents from 0.02 to 2. A fit that ends at a bound has not found
    that constant. Fits with several values of E show how far the runs determine it.

    Source: ``eq-scaling-huber`` (section 2.2); Hoffmann et al. 2022, eq. 3.

    Parameters
    ----------
    num_parameters, num_tokens
        N and D of each run, all positive.
    losses
        Validation loss of each run in nats per token, positive.
    E
        Irreducible loss in nats per token, to fit the other constants alone; None to fit it too.

    Returns
    -------
    law : ScalingLaw
        The fitted law.

    Raises
    ------
    ValueError
        If there are fewer than 6 runs, the three sequences differ in length, a number is not finite
        and above 0, all runs have the same N or the same D, so that any exponent fits, or `E` is
        not a positive number below the lowest loss.

    Examples
    --------
    >>> import numpy as np
    >>> from utils.studies.scaling_law import ScalingLaw, fit_scaling_law
    >>> N, D = np.repeat([1e6, 1e7, 1e8], 3), np.tile([1e8, 1e9, 1e10], 3)
    >>> losses = ScalingLaw(E=1.7, A=400, alpha=0.34, B=410, beta=0.28).loss(N, D)
    >>> law = fit_scaling_law(N, D, losses)
    >>> round(law.alpha, 2), round(law.beta, 2)
    (0.34, 0.28)
    """
    N = _as_positive_array(num_parameters, "num_parameters")
    D = _as_positive_array(num_tokens, "num_tokens")
    observed = _as_positive_array(losses, "losses")
    _check_runs(N, D, observed)
    lowest = np.log(observed.min())  # E cannot exceed the lowest loss
    bounds_of_log = [min(-5, lowest - 5), lowest]
    if E is not None:
        if not 0 < E < observed.min():
            raise ValueError(
                f"E must be a positive number below the lowest loss {observed.min():g}, got {E}"
            )
        E = float(E)  # in float32 the two bounds would be equal
        bounds_of_log = [np.log(E) - LOG_TOLERANCE, np.log(E) + LOG_TOLERANCE]

    def residuals(variables: Array) -> Array:
        return np.log(_law_from_variables(variables).loss(N, D)) - np.log(observed)

    # in the order of `_law_from_variables`
    first_log = lowest - 0.4 if E is None else np.log(E)
    starts = itertools.product((first_log,), (1, 4), (0.4,), (1, 4), (0.4,))
    bounds = np.transpose([bounds_of_log, (-5, 20), (0.02, 2), (-5, 20), (0.02, 2)])
    fits = [
        least_squares(residuals, start, bounds=bounds, loss="huber", f_scale=HUBER_DELTA)
        for start in starts
    ]
    law = _law_from_variables(min(fits, key=lambda fit: fit.cost).x)
    return law if E is None else replace(law, E=float(E))


def _check_runs(N: Array, D: Array, losses: Array) -> None:
    """Raise ValueError if a law cannot be fitted to runs: too few, or all of one size."""
    if not N.ndim == D.ndim == losses.ndim == 1 or not len(N) == len(D) == len(losses) >= MIN_RUNS:
        counts = f"{N.size}, {D.size} and {losses.size}"
        raise ValueError(f"a fit needs N, D and loss of {MIN_RUNS} runs or more; got {counts}")
    if len(np.unique(N)) == 1 or len(np.unique(D)) == 1:
        raise ValueError(
            "a fit needs runs of different N and of different D; one of them is constant"
        )


def _as_positive_array(values: npt.ArrayLike, name: str) -> Array:
    """Convert numbers to a float64 array; raise ValueError if one is not finite and above 0."""
    array = np.asarray(values, dtype=np.float64)
    is_positive = (array > 0) & (array < np.inf)
    if not is_positive.all():
        wrong = array[~is_positive].flat[0]
        raise ValueError(f"{name} must be positive numbers, got {wrong}")
    return array


def _law_from_variables(variables: Array) -> ScalingLaw:
    """Build a law from what the fit varies: log E, log A, α, log B and β.

    The logarithms keep E, A and B positive.
    """
    log_E, log_A, alpha, log_B, beta = variables
    return ScalingLaw(
        E=float(np.exp(log_E)),
        A=float(np.exp(log_A)),
        alpha=float(alpha),
        B=float(np.exp(log_B)),
        beta=float(beta),
    )
