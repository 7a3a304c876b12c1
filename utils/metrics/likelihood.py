"""Measures of a language model from the negative log-likelihood it gives a text.

Perplexity is derived in section 2.1 (Jelinek et al. 1977). Bits per character make models with
different tokenizers comparable.
"""

from __future__ import annotations

import math

_LARGEST_EXPONENT = 709  # exp(710) overflows a float64
_TOLERANCE = 1e-3  # nats per token, by which rounding may make a log-probability positive


def perplexity(nll: float, num_tokens: int) -> float:
    """Compute the perplexity exp(nll / num_tokens), or infinity if that overflows.

    Source: ``eq-perplexity`` (section 2.1); Jelinek et al. 1977.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats; infinite where a token has
        probability 0.
    num_tokens
        The number of tokens that were predicted.

    Returns
    -------
    perplexity : float
        From 1 to ∞.

    Raises
    ------
    ValueError
        If there are no tokens: their mean is not defined; if the number of tokens is not finite,
        or the negative log-likelihood is negative or NaN.
    """
    mean_nll = _mean(nll, num_tokens, of="perplexity", unit="token")
    return math.inf if mean_nll > _LARGEST_EXPONENT else math.exp(mean_nll)


def bits_per_character(nll: float, num_characters: int) -> float:
    """Compute the negative log-likelihood in bits per character, whatever the tokens were.

    It compares models with different tokens only if these write the whole text: with a closed
    vocabulary, the letters of unknown tokens cost nothing, and the number means nothing.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats; infinite where a token has
        probability 0.
    num_characters
        The number of characters in the tokens that were predicted: without those of a first token
        that was given, and with one for each end of a text that was predicted.

    Returns
    -------
    bits : float
        Bits per character, from 0 to ∞.

    Raises
    ------
    ValueError
        If there are no characters or their number is not finite, or if the negative
        log-likelihood is negative or NaN.
    """
    return _mean(nll, num_characters, of="bits per character", unit="character") / math.log(2)


def _mean(nll: float, count: int, *, of: str, unit: str) -> float:
    """Return nll / count, both checked; `of` and `unit` are for the messages."""
    if count <= 0:
        raise ValueError(f"{of} needs at least one {unit}, got {count}")
    if not math.isfinite(count):
        raise ValueError(f"{of} needs a number of {unit}s, got {count}")
    if math.isnan(nll) or nll < -_TOLERANCE * count:
        raise ValueError(
            f"{of} needs the negative log-likelihood −Σ log p, which is not negative; got {nll}"
        )
    return nll / count
