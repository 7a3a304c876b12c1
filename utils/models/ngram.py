"""N-gram language models: relative frequencies and four ways of smoothing them.

Derived in section 2.1. Kneser–Ney smoothing: Kneser and Ney 1995; its interpolated form and the
modified version with three discounts: Chen and Goodman 1999; estimates of the discounts: Ney, Essen
and Kneser 1994. The formulas are in ``utils.models.ngram_estimates``.
"""

from __future__ import annotations

import numpy as np
import torch

from utils.arguments import check_bool, check_number
from utils.data.vocabulary import BOS
from utils.models.ngram_counts import NGramCounts
from utils.models.ngram_estimates import (
    Estimates,
    add_k_estimates,
    choose_discounts,
    discounted_estimates,
    witten_bell_estimates,
)
from utils.models.ngram_texts import Ids, as_id_array
from utils.models.typed_module import TypedModule


class NGramLM(TypedModule):
    """An n-gram language model: p(w | the last n − 1 tokens), estimated from counts.

    Build one with `mle`, `add_k`, `witten_bell`, `absolute_discounting` or `kneser_ney`, from the
    counts of a training text; `order` is the largest counted by default. All estimates are
    interpolated, from the shortest context h to the longest: p(w | h) = ``ngram_probs``(h w) +
    ``lower_order_weights``(h) · p(w | h without its first token), starting from the uniform
    distribution over the tokens that are predicted.

    Parameters
    ----------
    counts
        The counts that the estimates refer to.
    estimates
        What each n-gram and each context contributes.

    Examples
    --------
    >>> import torch
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> counts = NGramCounts([4, 5, 4, 5, 4, 6], order=2, vocab_size=7)
    >>> log_probs, _ = NGramLM.add_k(counts, k=0.5)(torch.tensor([[4]]))
    >>> [round(p, 3) for p in log_probs[0, 0].exp().tolist()]
    [0.077, 0.077, 0.077, 0.077, 0.077, 0.385, 0.231]
    """

    def __init__(self, counts: NGramCounts, estimates: Estimates) -> None:
        super().__init__()
        self.ngram_probs, self.lower_order_weights = estimates
        self.counts, self.order, self.vocab_size = counts, len(self.ngram_probs), counts.vocab_size

    @classmethod
    def mle(cls, counts: NGramCounts, *, order: int | None = None) -> NGramLM:
        """Estimate a model by maximum likelihood, uniform after a context that does not occur.

        Source: ``eq-mle`` (section 2.1).

        Raises
        ------
        ValueError
            For an order that was not counted.
        """
        return cls.add_k(counts, 0.0, order=order)

    @classmethod
    def add_k(cls, counts: NGramCounts, k: float, *, order: int | None = None) -> NGramLM:
        """Estimate a model by add-k smoothing: (count + k) / (count of the context + k V).

        Source: ``eq-add-k`` (section 2.1).

        Raises
        ------
        ValueError
            For a k that is not from 0 to 10³⁰, or an order that was not counted.
        """
        check_number(minimum=0, maximum=1e30, k=k)  # k V is finite
        return cls(counts, add_k_estimates(counts, k, order=counts.as_order(order)))

    @classmethod
    def witten_bell(cls, counts: NGramCounts, *, order: int | None = None) -> NGramLM:
        """Estimate a model by interpolated Witten–Bell smoothing.

        Source: Witten and Bell 1991; Chen and Goodman 1999.

        Raises
        ------
        ValueError
            For an order that was not counted.
        """
        return cls(counts, witten_bell_estimates(counts, order=counts.as_order(order)))

    @classmethod
    def absolute_discounting(
        cls, counts: NGramCounts, *, order: int | None = None, discount: float | None = None
    ) -> NGramLM:
        """Estimate a model by interpolated absolute discounting.

        It is `kneser_ney` with occurrences in place of continuation counts.

        Source: ``eq-absolute-discounting`` (section 2.1); Ney, Essen and Kneser 1994.

        Raises
        ------
        ValueError
            For a discount outside (0, 1], or an order that was not counted.
        """
        values = counts.raw[1 : counts.as_order(order) + 1]
        return cls(counts, discounted_estimates(counts, values, choose_discounts(values, discount)))

    @classmethod
    def kneser_ney(
        cls,
        counts: NGramCounts,
        *,
        order: int | None = None,
        discount: float | None = None,
        modified: bool = False,
    ) -> NGramLM:
        """Estimate a model by interpolated Kneser–Ney smoothing.

        The longest n-grams use their occurrences, all shorter ones their continuation counts.

        Source: ``eq-kneser-ney`` (section 2.1); Kneser and Ney 1995.

        Parameters
        ----------
        counts
            The counts of the training text.
        order
            n; the largest counted by default.
        discount
            One discount D in (0, 1] for n-grams of every length; by default estimated for each
            length by ``ngram_estimates.estimate_discounts``.
        modified
            Whether to estimate three discounts for each length, for n-grams counted once, twice
            and more often (Chen and Goodman 1999).

        Returns
        -------
        model : NGramLM
            The smoothed model.

        Raises
        ------
        ValueError
            For a discount outside (0, 1] or together with `modified`, or an order that was not
            counted.
        """
        check_bool(modified=modified)
        order = counts.as_order(order)
        values = [*counts.continuation[1:order], counts.raw[order]]
        discounts = choose_discounts(values, discount, modified=modified)
        return cls(counts, discounted_estimates(counts, values, discounts))

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the distribution of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T).
        state
            The n − 1 ids before `ids`, (B, n − 1); BOS by default.

        Returns
        -------
        log_probs : torch.Tensor
            (B, T, V) float64; float32 for ids on mps, which has no float64.
        state : torch.Tensor
            The last n − 1 ids, (B, n − 1).

        Raises
        ------
        ValueError
            For ids that are not (B, T) or lie outside the vocabulary, and for a state of another
            shape.
        """
        history = self._as_history(ids, state)  # (B, n − 1 + T)
        B, T = ids.shape
        indices = self.counts.indices(history, self.order - 1)
        probs = np.tile(self.counts.uniform_probs, (B * T, 1))
        for length in range(self.order):  # of the contexts that end with each of `ids`
            start = self.order - length
            contexts = indices[length][:, start : start + T].ravel()  # (B·T,)
            probs *= self.lower_order_weights[length][contexts][:, None]
            rows, ngrams = self.counts.followers(contexts, length)
            positive = self.ngram_probs[length][ngrams] > 0
            rows, ngrams = rows[positive], ngrams[positive]
            last_tokens = self.counts.keys[length + 1][ngrams] % self.counts.base
            probs[rows, last_tokens] += self.ngram_probs[length][ngrams]
        log_probs = torch.from_numpy(_log(probs)).view(B, T, self.vocab_size)
        if ids.device.type == "mps":
            log_probs = log_probs.float()
        return log_probs.to(ids.device), torch.from_numpy(history[:, T:].copy()).to(ids.device)

    def score(self, ids: Ids, state: torch.Tensor | None = None) -> torch.Tensor:
        """Compute log p of each token of one text, given the tokens before it.

        They equal those of `forward`, without the rest of the distribution.

        Parameters
        ----------
        ids
            The tokens of the text, (N,).
        state
            The n − 1 ids before it, (1, n − 1); BOS by default.

        Returns
        -------
        log_probs : torch.Tensor
            (N,) float64, on the CPU.

        Raises
        ------
        ValueError
            For ids outside the vocabulary, and for a state of another shape.
        """
        row = torch.from_numpy(as_id_array(ids, self.vocab_size))[None]  # (1, N)
        history, N = self._as_history(row, state), row.shape[1]  # (1, n − 1 + N)
        indices = self.counts.indices(history, self.order)
        probs = self.counts.uniform_probs[history[0, self.order - 1 :]]
        for length in range(self.order):  # of the context before each token
            start = self.order - 1 - length
            ngrams = indices[length + 1][0, start : start + N]
            contexts = indices[length][0, start : start + N]
            lower_order_probs = self.lower_order_weights[length][contexts] * probs
            probs = self.ngram_probs[length][ngrams] + lower_order_probs
        return torch.from_numpy(_log(probs))

    def _as_history(self, ids: torch.Tensor, state: torch.Tensor | None) -> np.ndarray:
        """Return the state and `ids` (B, T) in one array, (B, n − 1 + T), both checked."""
        if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
            got = tuple(ids.shape) if isinstance(ids, torch.Tensor) else type(ids).__name__
            raise ValueError(f"ids must be a tensor of the shape (B, T); got {got}")
        if state is None:
            state = torch.full((len(ids), self.order - 1), BOS)
        if state.shape != (len(ids), self.order - 1):
            raise ValueError(
                f"the state of an {self.order}-gram model is its context, ids of shape "
                f"{(len(ids), self.order - 1)}; got {tuple(state.shape)}"
            )
        tokens = as_id_array(ids.flatten(), self.vocab_size).reshape(ids.shape)
        context = as_id_array(state.flatten(), self.counts.base).reshape(state.shape)
        return np.concatenate([context, tokens], axis=1)


def _log(probs: np.ndarray) -> np.ndarray:
    """Return log p without a warning for log 0 = −∞, which relative frequencies may give."""
    with np.errstate(divide="ignore"):
        log_probs: np.ndarray = np.log(probs)
    return log_probs
