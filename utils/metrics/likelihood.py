"""Measures of a language model from the negative log-likelihood it gives a text.

Perplexity is derived in section 2.1 (Jelinek et al. 1977). Bits per character make models with
different tokenizers comparable.
"""

from __future__ import annotations

import math

_LARGEST_EXPONENT = 709  # exp(710) overflows a float64


def perplexity(nll: float, num_tokens: int) -> float:
    """Compute the perplexity exp(nll / num_tokens), or infinity if that overflows.

    Source: ``eq-perplexity`` (section 2.1); Jelinek et al. 1977.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats.
    num_tokens
        The number of tokens that were predicted.

    Returns
    -------
    perplexity : float
        From 1 to ∞.

    Raises
    ------
    ValueError
        If there are no tokens: their mean is not defined.
    """
    if num_tokens <= 0:
        raise ValueError(f"perplexity needs at least one token, got {num_tokens}")
    mean_nll = nll / num_tokens
    return math.inf if mean_nll > _LARGEST_EXPONENT else math.exp(mean_nll)


def bits_per_character(nll: float, num_characters: int) -> float:
    """Compute the negative log-likelihood in bits per character, whatever the tokens were.

    Parameters
    ----------
    nll
        The negative log-likelihood of the whole text, in nats.
    num_characters
        The number of characters in the tokens that were predicted.

    Returns
    -------
    bits : float
        Bits per character.

    Raises
    ------
    ValueError
        If there are no characters.
    """
    if num_characters <= 0:
        raise ValueError(f"bits per character needs at least one character, got {num_characters}")
    return nll / math.log(2) / num_characters
