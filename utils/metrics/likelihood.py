"""Measures of a language model from the negative log-likelihood it gives a text.

Perplexity is derived in section 2.1 (Jelinek et al. 1977). Bits per character make models with
different tokenizers comparable.
"""

from __future__ import annotations

import math

_LARGEST_EXPONENT = 709  # exp(710) overflows a float64


def perplexity(nll: float, tokens: int) -> float:
    """Return the perplexity exp(nll / tokens), or infinity if that overflows.

    Source: ``eq-perplexity`` (section 2.1); Jelinek et al. 1977.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats.
    tokens
        The number of tokens that were predicted.

    Returns
    -------
    float
        The perplexity, from 1 to ∞.

    Raises
    ------
    ValueError
        If there are no tokens: their mean is not defined.
    """
    if tokens <= 0:
        raise ValueError(f"perplexity needs at least one token, got {tokens}")
    mean = nll / tokens
    return math.inf if mean > _LARGEST_EXPONENT else math.exp(mean)


def bits_per_character(nll: float, characters: int) -> float:
    """Return the negative log-likelihood in bits per character, whatever the tokens were.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats.
    characters
        The number of characters in the tokens that were predicted.

    Returns
    -------
    float
        Bits per character.

    Raises
    ------
    ValueError
        If there are no characters.
    """
    if characters <= 0:
        raise ValueError(f"bits per character needs at least one character, got {characters}")
    return nll / math.log(2) / characters
