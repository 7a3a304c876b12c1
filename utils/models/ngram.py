"""N-gram language models: relative frequencies, add-k smoothing and interpolated Kneser–Ney.

Derived in section 2.1. Kneser–Ney smoothing: Kneser and Ney 1995; its interpolated form and the
modified version with three discounts: Chen and Goodman 1999; estimates of the discounts: Ney, Essen
and Kneser 1994.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from utils.data.vocabulary import BOS
from utils.models.ngram_counts import Ids, NGramCounts, as_id_array


class NGramLM(nn.Module):
    """An n-gram language model: p(w | the last n − 1 tokens), estimated from counts.

    Build one with `mle`, `add_k` or `kneser_ney`. All estimates are interpolated, from the shortest
    context h to the longest: p(w | h) = ``ngram_probs``(h w) + ``lower_order_weights``(h) · p(w |
    h without its first token), starting from the uniform distribution 1 / V.

    Parameters
    ----------
    counts
        The counts that the two lists refer to.
    ngram_probs
        Item m: for each n-gram of m + 1 tokens the probability that its own count contributes, and
        a last 0 for n-grams that do not occur.
    lower_order_weights
        Item m: for each context of m tokens the weight of the distribution after the context
        without its first token, and a last entry for contexts that do not occur.
    """

    def __init__(
        self,
        counts: NGramCounts,
        ngram_probs: list[np.ndarray],
        lower_order_weights: list[np.ndarray],
    ) -> None:
        super().__init__()
        self.counts, self.order, self.vocab_size = counts, len(ngram_probs), counts.vocab_size
        self.ngram_probs, self.lower_order_weights = ngram_probs, lower_order_weights

    @classmethod
    def mle(cls, counts: NGramCounts, *, order: int | None = None) -> NGramLM:
        """Estimate a model by maximum likelihood, uniform after a context that does not occur.

        Source: ``eq-mle`` (section 2.1).

        Parameters
        ----------
        counts
            The counts of the training text.
        order
            n; as large as counted where not given.

        Returns
        -------
        model : NGramLM
            The model of relative frequencies.

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

        Parameters
        ----------
        counts
            The counts of the training text.
        k
            Smoothing constant, added to each count; 0 gives `mle`.
        order
            n; as large as counted where not given.

        Returns
        -------
        model : NGramLM
            The smoothed model.

        Raises
        ------
        ValueError
            For a negative or infinite k, or an order that was not counted.
        """
        if not 0 <= k < np.inf:
            raise ValueError(f"k must be a number ≥ 0, got {k}")
        order = counts.as_order(order)
        # shorter n-grams contribute nothing: their weights pass the uniform distribution on
        ngram_probs = [np.zeros(len(raw)) for raw in counts.raw[1:order]]
        lower_order_weights = [np.ones(len(keys)) for keys in counts.keys[: order - 1]]
        added = k * counts.vocab_size
        total = counts.sum_by_context(counts.raw[order], order) + added
        total_of_ngram = total[counts.context_indices(order)]
        return cls(
            counts,
            [*ngram_probs, _divide(counts.raw[order], total_of_ngram, empty=0.0)],
            [*lower_order_weights, _divide(np.full(len(total), added), total, empty=1.0)],
        )

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
            n; as large as counted where not given.
        discount
            One discount D in (0, 1] for n-grams of every length; estimated for each length by
            `estimate_discounts` where not given.
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
        if discount is not None and (modified or not 0 < discount <= 1):
            raise ValueError(f"discount={discount}: it lies in (0, 1] and excludes modified=True")
        order = counts.as_order(order)
        ngram_probs, lower_order_weights = [], []
        for length in range(1, order + 1):
            values = counts.raw[length] if length == order else counts.continuation[length]
            if discount is None:
                discounts = estimate_discounts(values, modified=modified)
            else:
                discounts = np.full(4, discount)
            subtracted = np.where(values > 0, discounts[np.minimum(values, 3)], 0.0)
            total = counts.sum_by_context(values, length)
            total_of_ngram = total[counts.context_indices(length)]
            ngram_probs.append(_divide(values - subtracted, total_of_ngram, empty=0.0))
            subtracted_total = counts.sum_by_context(subtracted, length)
            lower_order_weights.append(_divide(subtracted_total, total, empty=1.0))
        return cls(counts, ngram_probs, lower_order_weights)

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the distribution of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T).
        state
            The n − 1 ids before `ids`, (B, n − 1); BOS where not given.

        Returns
        -------
        log_probs : torch.Tensor
            (B, T, V) float64.
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
        probs = np.full((B * T, self.vocab_size), 1 / self.vocab_size)
        for length in range(self.order):  # of the contexts that end with each of `ids`
            start = self.order - length
            contexts = indices[length][:, start : start + T].ravel()  # (B·T,)
            probs *= self.lower_order_weights[length][contexts][:, None]
            rows, ngrams = self.counts.followers(contexts, length)
            positive = self.ngram_probs[length][ngrams] > 0
            rows, ngrams = rows[positive], ngrams[positive]
            last_tokens = self.counts.keys[length + 1][ngrams] % self.counts.base
            probs[rows, last_tokens] += self.ngram_probs[length][ngrams]
        log_probs = torch.from_numpy(_log(probs)).view(B, T, self.vocab_size).to(ids.device)
        return log_probs, torch.from_numpy(history[:, T:].copy()).to(ids.device)

    def score(self, ids: Ids, state: torch.Tensor | None = None) -> torch.Tensor:
        """Compute log p of each token of one text, given the tokens before it.

        The same numbers as `forward` gives, without the rest of the distribution.

        Parameters
        ----------
        ids
            The tokens of the text, (N,).
        state
            The n − 1 ids before it, (1, n − 1); BOS where not given.

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
        probs = np.full(N, 1 / self.vocab_size)
        for length in range(self.order):  # of the context before each token
            start = self.order - 1 - length
            ngrams = indices[length + 1][0, start : start + N]
            contexts = indices[length][0, start : start + N]
            lower_order_probs = self.lower_order_weights[length][contexts] * probs
            probs = self.ngram_probs[length][ngrams] + lower_order_probs
        return torch.from_numpy(_log(probs))

    def _as_history(self, ids: torch.Tensor, state: torch.Tensor | None) -> np.ndarray:
        """Return the state and `ids` (B, T) in one array, (B, n − 1 + T), both checked."""
        if ids.dim() != 2:
            raise ValueError(f"ids have the shape (B, T); got {tuple(ids.shape)}")
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


def estimate_discounts(counts: np.ndarray, *, modified: bool = False) -> np.ndarray:
    """Estimate the discounts of Kneser–Ney smoothing from how many n-grams have small counts.

    Source: ``eq-discount`` (section 2.1); Ney, Essen and Kneser 1994.

    Parameters
    ----------
    counts
        The counts of all n-grams of one length, (N,).
    modified
        Whether to estimate three discounts, for counts of 1, 2, and 3 or more (Chen and Goodman
        1999).

    Returns
    -------
    discounts : numpy.ndarray
        (4,): what to subtract from a count of 0, 1, 2, and 3 or more. Where there are too few
        n-grams for an estimate between 0 and the count, it is 0.5.
    """
    # num_ngrams[c]: how many n-grams have the count c, for c up to 4
    num_ngrams = np.bincount(np.minimum(counts, 5), minlength=6)
    ratio = num_ngrams[1] / max(1, num_ngrams[1] + 2 * num_ngrams[2])
    if not modified:
        return np.full(4, ratio if 0 < ratio < 1 else 0.5) * [0, 1, 1, 1]
    discounts = [0.0]
    for count in (1, 2, 3):
        discount = count - (count + 1) * ratio * num_ngrams[count + 1] / max(1, num_ngrams[count])
        discounts.append(discount if 0 < discount < count else 0.5)
    return np.array(discounts)


def _divide(part: np.ndarray, total: np.ndarray, *, empty: float) -> np.ndarray:
    """Return part / total, and `empty` where the total is 0."""
    return np.divide(part, total, out=np.full(len(total), empty), where=total > 0)


def _log(probs: np.ndarray) -> np.ndarray:
    """Return log p without a warning for log 0 = −∞, which relative frequencies may give."""
    with np.errstate(divide="ignore"):
        return np.log(probs)
