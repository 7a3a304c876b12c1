"""Which tokens may come next: the checks and rules that all ways of decoding have in common.

A model's logits must define a distribution. PAD and BOS are never generated. Two options rule out
further tokens: a minimum length, and n-grams that may not occur twice (Paulus et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from utils.arguments import check_integer, check_positive, if_given
from utils.data.vocabulary import BOS, EOS, PAD

NEVER_GENERATED = (PAD, BOS)
"""Tokens that are never generated; their probability is set to zero before each choice."""


def allowed_logits(logits: torch.Tensor) -> torch.Tensor:
    """Return a copy of logits (B, V) in which those of `NEVER_GENERATED` are −∞.

    Raises
    ------
    ValueError
        If the vocabulary is too small to contain EOS, the logits are not real floating-point
        numbers, or those of a row define no distribution: one is NaN or +∞, that of PAD and BOS
        included, or all remaining ones are −∞.
    """
    if logits.shape[-1] <= EOS:
        raise ValueError(f"a vocabulary of {logits.shape[-1]} has no EOS (id {EOS}) and no words")
    check_logits(logits)
    allowed = logits.clone()
    allowed[:, list(NEVER_GENERATED)] = -math.inf
    # NaN or +∞ may stand at any token, a finite logit must stand at an allowed one
    highest = logits.amax(-1)  # (B,), NaN where a logit is NaN
    highest = torch.where(highest.isfinite(), allowed.amax(-1), highest)
    if not highest.isfinite().all():  # one transfer from the device per step
        _raise_no_distribution(highest)
    return allowed


def check_logits(logits: torch.Tensor) -> None:
    """Check that logits of any shape are real floating-point numbers.

    Raises
    ------
    ValueError
        If they are integers or complex numbers.
    """
    if not logits.is_floating_point():
        raise ValueError(f"logits must be real floating-point numbers, got {logits.dtype}")


def check_logits_below_infinity(logits: torch.Tensor) -> None:
    """Check that logits of any shape can be ordered, as filters and penalties need it.

    Raises
    ------
    ValueError
        If they are integers or complex numbers, or one is NaN or ∞. Of logits on the device meta,
        which have no values, the type alone is checked.
    """
    check_logits(logits)
    if not logits.is_meta and not (logits < math.inf).all():
        raise ValueError("logits must be below infinity, and none NaN; −∞ excludes a token")


def _raise_no_distribution(highest: torch.Tensor) -> None:
    """Raise the ValueError of `allowed_logits`, given the highest logit of each row (B,)."""
    row = int((~highest.isfinite()).nonzero()[0, 0])
    reason = {math.inf: "one is +∞", -math.inf: "all but those of PAD and BOS are −∞"}
    raise ValueError(
        f"the model's logits for row {row} of the batch define no distribution: "
        f"{reason.get(float(highest[row]), 'one is NaN')}; check the model's weights and its state"
    )


@dataclass(frozen=True)
class TokenRules:
    """Rules for the next token of a text, beyond the model's distribution.

    Source: Paulus et al. 2018, section 2.5, for n-grams that do not repeat.

    Parameters
    ----------
    min_length
        The minimum number of new tokens, before which EOS is ruled out; a text in which no other
        token remains possible ends nevertheless.
    no_repeat_ngram_size
        The size n of n-grams that may not occur twice, prompt included: a token other than EOS
        that would complete one for the second time is ruled out. None for no such rule.

    Raises
    ------
    ValueError
        If `min_length` is not a non-negative integer, or `no_repeat_ngram_size` not a
        positive one.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.token_rules import TokenRules
    >>> scores = torch.zeros(1, 6)
    >>> rules = TokenRules(min_length=3, no_repeat_ngram_size=2)
    >>> rules.apply(scores, torch.tensor([[4, 5, 4]]), [2])
    tensor([[0., 0., -inf, 0., 0., -inf]])
    """

    min_length: int = 0
    no_repeat_ngram_size: int | None = None

    def __post_init__(self) -> None:
        check_integer(minimum=0, min_length=self.min_length)
        check_positive(**if_given(no_repeat_ngram_size=self.no_repeat_ngram_size))

    def apply(
        self, scores: torch.Tensor, previous_ids: torch.Tensor, new_lengths: Sequence[int]
    ) -> torch.Tensor:
        """Set the scores of tokens that are ruled out to −∞.

        Parameters
        ----------
        scores
            Logits or log-probabilities of the next token, (B, V).
        previous_ids
            All ids so far, prompt included, (B, N).
        new_lengths
            The number of new tokens so far in each of the B rows.

        Returns
        -------
        scores : torch.Tensor
            The scores under the rules, (B, V).
        """
        if self.no_repeat_ngram_size is not None:
            is_repeat = repeated_ngrams(
                previous_ids, n=self.no_repeat_ngram_size, vocab_size=scores.shape[-1]
            )
            scores = scores.masked_fill(is_repeat, -math.inf)
        short_rows = [i for i, length in enumerate(new_lengths) if length < self.min_length]
        if short_rows:
            words = scores.clone()  # (B, V)
            words[short_rows, EOS] = -math.inf
            has_words = words.amax(-1, keepdim=True) > -math.inf  # (B, 1)
            scores = torch.where(has_words, words, scores)
        return scores

    def apply_or_raise(
        self, logits: torch.Tensor, previous_ids: torch.Tensor, new_lengths: Sequence[int]
    ) -> torch.Tensor:
        """Set the logits of tokens that are ruled out to −∞, as `apply` does.

        Raises
        ------
        ValueError
            If the rules leave a row without a token.
        """
        ruled = self.apply(logits, previous_ids, new_lengths)
        if ruled is not logits and (ruled.amax(-1) == -math.inf).any():
            raise self.no_token_error()
        return ruled

    def no_token_error(self) -> ValueError:
        """Return the error for a text in which the rules leave no token."""
        return ValueError(
            f"no_repeat_ngram_size={self.no_repeat_ngram_size} leaves a text no token, and EOS has "
            "probability 0: choose a larger size or a smaller max_length"
        )


def repeated_ngrams(ids: torch.Tensor, *, n: int, vocab_size: int) -> torch.Tensor:
    """Find the tokens that would complete an n-gram for the second time.

    Parameters
    ----------
    ids
        All ids so far, (B, N).
    n
        The size of an n-gram.
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    is_repeat : torch.Tensor
        True for each such token except EOS, (B, V) bool.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.token_rules import repeated_ngrams
    >>> repeated_ngrams(torch.tensor([[4, 5, 4]]), n=2, vocab_size=6)
    tensor([[False, False, False, False, False,  True]])
    """
    B, N = ids.shape
    counts = torch.zeros(B, vocab_size, dtype=torch.int64, device=ids.device)
    if n <= N:
        ngrams = ids.unfold(1, n, 1)  # (B, N − n + 1, n)
        last_ids = ids[:, N - n + 1 :]  # (B, n − 1)
        is_match = (ngrams[..., :-1] == last_ids[:, None]).all(-1)  # (B, N − n + 1)
        counts.scatter_add_(1, ngrams[..., -1], is_match.long())
        counts[:, EOS] = 0
    return counts > 0
