"""N-gram language models: counts, relative frequencies, add-k, interpolated Kneser–Ney.

Derived in notebooks/02-1; the measure that neural models have to beat from section 5.1 on.
Kneser and Ney 1995; the interpolated form, the discounts and their modified version: Chen and
Goodman 1999.

N-grams are numbered level by level. An n-gram of m words has the key
(number of its first m − 1 words) · V + (its last word), and its number is the key's place in the
sorted array of all keys of level m. So the words seen after a context are neighbours in the array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from utils.vocab import BOS

NO_KEY = np.iinfo(np.int64).max  # ends each array of keys, so that a search never falls off it


class NGramCounts:
    """How often each n-gram of 1 … `order` tokens occurs in `texts`.

    `texts`: ids of one text, or a list of several such (sentences, say), each of which starts with
    a fresh context of BOS. `vocab_size` V: ids are 0 … V − 1. Arrays per level m, one place for
    each n-gram and a last one, with the value 0, that the number −1 (unseen) finds:
    `raw[m]` occurrences; `continuation[m]` distinct tokens seen before it (``eq-continuation``; an
    n-gram that starts with BOS, before which nothing can stand, keeps its occurrences).
    Raises ValueError for an order or a vocabulary below 1 and for ids outside the vocabulary.
    """

    def __init__(self, texts, order: int, vocab_size: int):
        if order < 1 or vocab_size < 1:
            raise ValueError(f"order={order}, vocab_size={vocab_size}: both must be at least 1")
        self.order, self.vocab_size = order, vocab_size
        self.base = max(vocab_size, BOS + 1)
        self.keys, self.raw, self.continuation = [np.array([0, NO_KEY])], [None], [None]
        self._count(*self._padded(texts))

    def _padded(self, texts) -> tuple[np.ndarray, np.ndarray]:
        """All texts in a row with order − 1 BOS before each; which places hold real tokens."""
        arrays = [_checked(text, self.vocab_size) for text in _as_texts(texts)]
        pad = np.full(self.order - 1, BOS)
        tokens = np.concatenate([pad[:0], *(part for a in arrays for part in (pad, a))])
        real = [np.repeat([False, True], [len(pad), len(a)]) for a in arrays]
        return tokens, np.concatenate([pad[:0].astype(bool), *real])

    def _count(self, tokens: np.ndarray, real: np.ndarray) -> None:
        number = np.zeros(len(tokens) + 1, dtype=np.int64)  # of the m − 1 tokens from each place on
        at_start = np.zeros(0, dtype=bool)
        for m in range(1, self.order + 1):
            keys = number[: len(tokens) - m + 1] * self.base + tokens[m - 1 :]
            keys, first, longer = np.unique(keys, return_index=True, return_inverse=True)
            raw = np.bincount(longer, weights=real[m - 1 :], minlength=len(keys)).astype(np.int64)
            if m > 1:  # each n-gram that occurs is one more beginning of its last m − 1 tokens
                before = np.bincount(number[first[raw > 0] + 1], minlength=len(self.raw[-1]))
                self.continuation.append(np.where(at_start, self.raw[-1], before))
            at_start = np.append(tokens[first] == BOS, False)
            self.keys.append(np.append(keys, NO_KEY))
            self.raw.append(np.append(raw, 0))
            number = longer

    def numbers(self, tokens: np.ndarray, order: int) -> list[np.ndarray]:
        """Numbers of all n-grams of 0 … `order` tokens in each row of `tokens` (B, N).

        Result m is (B, N + 1 − m): the n-gram of m tokens that starts at each place, −1 if unseen.
        """
        found = [np.zeros((len(tokens), tokens.shape[1] + 1), dtype=np.int64)]
        for m in range(1, order + 1):
            keys = found[-1][:, : tokens.shape[1] + 1 - m] * self.base + tokens[:, m - 1 :]
            place = np.searchsorted(self.keys[m], keys)
            found.append(np.where(self.keys[m][place] == keys, place, -1))
        return found

    def followers(self, context: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
        """The n-grams of m + 1 tokens that go on from each of `context`, numbers (R,) of level m.

        Returns (which context, number of the longer n-gram), each (F,); −1 has no followers.
        """
        first, end = (np.searchsorted(self.keys[m + 1], (context + i) * self.base) for i in (0, 1))
        rows = np.repeat(np.arange(len(context)), end - first)  # (F,)
        offset = np.cumsum(end - first) - end  # (R,)
        return rows, np.arange(len(rows)) - offset[rows]

    def contexts(self, m: int) -> np.ndarray:
        """The number, in level m − 1, of the context of each n-gram of m tokens."""
        return np.append(self.keys[m][:-1] // self.base, -1)

    def count(self, ngram: Sequence[int], continuation: bool = False) -> int:
        """Occurrences of `ngram`, or the number of distinct tokens seen before it.

        Raises ValueError for an n-gram of no tokens or of more than were counted.
        """
        arrays = self.continuation if continuation else self.raw
        if not 1 <= len(ngram) < len(arrays):
            raise ValueError(f"{len(ngram)} tokens, but these counts know 1 … {len(arrays) - 1}")
        row = _checked(ngram, self.vocab_size)[None]  # (1, m)
        return int(arrays[len(ngram)][self.numbers(row, len(ngram))[-1][0, 0]])

    def ngrams(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """The n-grams of m tokens that occur, ids (N, m), and how often each does (N,)."""
        number = np.flatnonzero(self.raw[m])
        count, columns = self.raw[m][number], []
        for level in range(m, 0, -1):
            number, word = np.divmod(self.keys[level][number], self.base)
            columns.append(word)
        return np.stack(columns[::-1], axis=-1), count


class NGramLM(nn.Module):
    """p(w | last n − 1 tokens) from counts: ``model(ids, state) -> (log-probabilities, state)``.

    Every estimate has one form, from the shortest context h to the longest,
    p(w | h) = share(h w) + rest(h) · p(w | h without its first token), starting from 1 / V.
    Made by `mle`, `add_k` or `kneser_ney`. `state` is the context, ids (B, n − 1), or None for BOS.
    """

    def __init__(self, counts: NGramCounts, shares: list[np.ndarray], rests: list[np.ndarray]):
        super().__init__()
        self.counts, self.order, self.vocab_size = counts, len(shares), counts.vocab_size
        self.shares, self.rests = shares, rests

    @classmethod
    def mle(cls, counts: NGramCounts, order: int | None = None) -> NGramLM:
        """Relative frequencies (``eq-mle``); uniform after a context that was never seen."""
        return cls.add_k(counts, 0.0, order)

    @classmethod
    def add_k(cls, counts: NGramCounts, k: float, order: int | None = None) -> NGramLM:
        """(count + k) / (count of the context + k V) (``eq-add-k``); k = 0 is `mle`.

        Raises ValueError for a negative k or an order that was not counted.
        """
        if not 0 <= k < np.inf:
            raise ValueError(f"k must be a number ≥ 0, got {k}")
        order = _order(counts, order)
        shares = [np.zeros(len(counts.raw[m])) for m in range(1, order)]
        rests = [np.ones(len(counts.keys[m])) for m in range(order - 1)]
        added = k * counts.vocab_size
        total = _sums(counts, order, counts.raw[order]) + added
        total_here = total[counts.contexts(order)]
        return cls(
            counts,
            [*shares, _ratio(counts.raw[order], total_here, 0.0)],
            [*rests, _ratio(np.full(len(total), added), total, 1.0)],
        )

    @classmethod
    def kneser_ney(
        cls,
        counts: NGramCounts,
        order: int | None = None,
        discount: float | None = None,
        modified: bool = False,
    ) -> NGramLM:
        """Interpolated Kneser–Ney (``eq-kneser-ney``), at every level the same step.

        `discount`: one D for all levels, in (0, 1]; without it each level estimates its own
        (``eq-discount``), or three of them where `modified` (Chen and Goodman 1999).
        Raises ValueError for another discount, or an order that was not counted.
        """
        if discount is not None and (modified or not 0 < discount <= 1):
            raise ValueError(f"discount={discount}: it lies in (0, 1] and excludes modified=True")
        shares, rests = [], []
        for m in range(1, _order(counts, order) + 1):
            c = counts.raw[m] if m == _order(counts, order) else counts.continuation[m]
            d = estimated_discounts(c, modified) if discount is None else np.full(4, discount)
            taken = np.where(c > 0, d[np.minimum(c, 3)], 0.0)
            total = _sums(counts, m, c)
            shares.append(_ratio(c - taken, total[counts.contexts(m)], 0.0))
            rests.append(_ratio(_sums(counts, m, taken), total, 1.0))
        return cls(counts, shares, rests)

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None = None):
        """ids (B, T) → log-probabilities of the next token (B, T, V) float64, and the context.

        Raises ValueError for ids that are not (B, T), or a state that is not (B, n − 1).
        """
        history = self._history(ids, state)  # (B, n − 1 + T)
        (B, T), n = ids.shape, self.order
        numbers = self.counts.numbers(history, n - 1)
        p = np.full((B * T, self.vocab_size), 1 / self.vocab_size)
        for m in range(n):  # contexts of m tokens that end with each of `ids`
            context = numbers[m][:, n - m : n - m + T].ravel()  # (B·T,)
            p *= self.rests[m][context][:, None]
            rows, number = self.counts.followers(context, m)
            rows, number = (x[self.shares[m][number] > 0] for x in (rows, number))
            p[rows, self.counts.keys[m + 1][number] % self.counts.base] += self.shares[m][number]
        logits = torch.from_numpy(_log(p)).view(B, T, self.vocab_size).to(ids.device)
        return logits, torch.from_numpy(history[:, T:].copy()).to(ids.device)

    def score(self, ids, state: torch.Tensor | None = None) -> torch.Tensor:
        """log p of each token of one text, ids (T,), after the tokens before it: (T,) float64.

        The same numbers as `forward` gives, without the rest of the distribution.
        """
        row = torch.from_numpy(_checked(ids, self.vocab_size))[None]  # (1, T)
        history, T, n = self._history(row, state), row.shape[1], self.order
        numbers = self.counts.numbers(history, n)
        p = np.full(T, 1 / self.vocab_size)
        for m in range(n):
            where = slice(n - 1 - m, n - 1 - m + T)
            p = self.shares[m][numbers[m + 1][0, where]] + self.rests[m][numbers[m][0, where]] * p
        return torch.from_numpy(_log(p))

    def _history(self, ids: torch.Tensor, state: torch.Tensor | None) -> np.ndarray:
        if ids.dim() != 2:
            raise ValueError(f"ids have the shape (B, T); got {tuple(ids.shape)}")
        if state is None:
            state = torch.full((len(ids), self.order - 1), BOS)
        if state.shape != (len(ids), self.order - 1):
            raise ValueError(
                f"the state of an {self.order}-gram model is its context, ids of shape "
                f"{(len(ids), self.order - 1)}; got {tuple(state.shape)}"
            )
        _checked(ids.flatten(), self.vocab_size)
        _checked(state.flatten(), self.counts.base)
        return torch.cat([state.cpu(), ids.cpu()], dim=1).numpy()


def estimated_discounts(counts: np.ndarray, modified: bool = False) -> np.ndarray:
    """What to take from an n-gram counted 0, 1, 2, 3 or more times (``eq-discount``): (4,).

    From how many n-grams were counted once, twice, … (Ney, Essen and Kneser 1994). Where these are
    too few to give a discount between 0 and its count, half a count is taken.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]  # n-grams counted 1, 2, 3, 4 times
    y = n[0] / max(1, n[0] + 2 * n[1])
    if not modified:
        return np.full(4, y if 0 < y < 1 else 0.5) * [0, 1, 1, 1]
    d = [c - (c + 1) * y * n[c] / max(1, n[c - 1]) for c in (1, 2, 3)]
    return np.array([0.0] + [x if 0 < x < c else 0.5 for c, x in zip((1, 2, 3), d, strict=True)])


def _sums(counts: NGramCounts, m: int, values: np.ndarray) -> np.ndarray:
    """The sum of `values`, one for each n-gram of m tokens, over the followers of each context."""
    contexts = len(counts.keys[m - 1])
    return np.bincount(counts.contexts(m)[:-1], weights=values[:-1], minlength=contexts)


def _ratio(part: np.ndarray, total: np.ndarray, empty: float) -> np.ndarray:
    """part / total, and `empty` where the total is 0."""
    return np.divide(part, total, out=np.full(len(total), empty), where=total > 0)


def _log(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):  # log 0 = −∞ is what relative frequencies say
        return np.log(p)


def _order(counts: NGramCounts, order: int | None) -> int:
    if order is not None and not 1 <= order <= counts.order:
        raise ValueError(f"order={order}, but n-grams of 1 … {counts.order} tokens were counted")
    return order or counts.order


def _as_texts(texts) -> list:
    """One text or several → a list of texts."""
    if isinstance(texts, (np.ndarray, torch.Tensor)):
        return list(texts) if texts.ndim == 2 and len(texts) else [texts]
    return list(texts) if len(texts) and np.ndim(texts[0]) == 1 else [texts]


def _checked(ids, vocab_size: int) -> np.ndarray:
    """ids as int64 (N,). Raises ValueError for other shapes and ids outside 0 … V − 1."""
    array = ids.cpu().numpy() if isinstance(ids, torch.Tensor) else np.asarray(ids)
    array = array.astype(np.int64) if array.size == 0 else array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"expected ids of shape (N,); got {array.dtype} {array.shape}")
    if array.size and not (0 <= array.min() and array.max() < vocab_size):
        wrong = array[(array < 0) | (array >= vocab_size)]
        raise ValueError(f"ids {wrong[:5]} lie outside this vocabulary of {vocab_size} tokens")
    return array.astype(np.int64)
