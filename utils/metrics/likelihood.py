"""Measures of a language model from the negative log-likelihood that it assigns to a text.

Perplexity is derived in section 2.1 (Jelinek et al. 1977). Bits per character make models with
different tokenizers comparable.
"""

from __future__ import annotations

import math
from typing import SupportsFloat

MAX_LOG_PROB = 1e-3
"""The largest number accepted as a log-probability: rounding may leave one slightly above 0."""

_LARGEST_EXPONENT = 709  # exp(710) overflows a float64
_TOLERANCE = 1e-6  # nats per token by which rounding may make a log-probability positive


def perplexity(nll: float, num_tokens: int) -> float:
    """Compute the perplexity exp(nll / num_tokens), or infinity if that overflows.

    Source: ``eq-perplexity`` (section 2.1); Jelinek et al. 1977.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats; infinite where a token has
        probability 0.
    num_tokens
        The number of predicted tokens.

    Returns
    -------
    perplexity : float
        From 1 to ∞.

    Raises
    ------
    ValueError
        If an argument is not a number, the number of tokens is not positive and finite, or the
        negative log-likelihood is NaN or more negative than rounding in float32 makes it: below
        −10⁻⁶ per token. Above that, it counts as 0.

    Examples
    --------
    >>> import math
    >>> from utils.metrics.likelihood import perplexity
    >>> nll = -math.log(1 / 10) * 3  # three tokens, each of probability 1/10
    >>> round(perplexity(nll, 3), 6)
    10.0
    """
    mean_nll = _mean(nll, num_tokens, of="perplexity", unit="token")
    return math.inf if mean_nll > _LARGEST_EXPONENT else math.exp(mean_nll)


def bits_per_character(nll: float, num_characters: int) -> float:
    """Compute the negative log-likelihood in bits per character, for any tokenization.

    It compares models with different tokenizers only if these can represent the whole text: with a
    closed vocabulary, the characters of unknown tokens cost nothing.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats; infinite where a token has
        probability 0.
    num_characters
        The number of characters of the predicted tokens: without those of a first token that is
        given, and with one for each predicted end of a text.

    Returns
    -------
    bits : float
        Bits per character, from 0 to ∞.

    Raises
    ------
    ValueError
        If an argument is not a number, the number of characters is not positive and finite, or the
        negative log-likelihood is NaN or below −10⁻⁶ per character; above that, it counts as 0.

    Examples
    --------
    >>> import math
    >>> from utils.metrics.likelihood import bits_per_character
    >>> bits_per_character(6 * math.log(2), 3)
    2.0
    """
    return _mean(nll, num_characters, of="bits per character", unit="character") / math.log(2)


def _mean(nll: float, count: int, *, of: str, unit: str) -> float:
    """Return nll / count after checking both; `of` and `unit` are for the messages."""
    if not (isinstance(nll, SupportsFloat) and isinstance(count, SupportsFloat)):
        raise ValueError(f"{of} needs numbers, got {nll!r} and {count!r}")
    try:
        float(nll), float(count)
    except OverflowError as error:  # an integer of more than 308 digits
        raise ValueError(f"{of} needs numbers below 1e308: {error}") from None
    if count <= 0:
        raise ValueError(f"{of} needs at least one {unit}, got {count}")
    if not math.isfinite(count):
        raise ValueError(f"{of} needs a number of {unit}s, got {count}")
    if math.isnan(nll) or nll < -_TOLERANCE * count:
        raise ValueError(
            f"{of} needs the negative log-likelihood −Σ log p, which is not negative; got {nll}"
        )
    return max(nll, 0.0) / count
