"""Counts of n-grams, from which the n-gram language models of ``utils.models.ngram`` are estimated.

Derived in section 2.1. Continuation counts: Kneser and Ney 1995.

Each n-gram of m tokens has an index, its position in the sorted array ``keys[m]``. Its key is
(index of its first m − 1 tokens) · base + (id of its last token), so that the n-grams that continue
one context are neighbours in the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from utils.arguments import check_positive
from utils.data.vocabulary import BOS

Ids: TypeAlias = Sequence[int] | np.ndarray | torch.Tensor
"""The token ids of one text, (N,)."""

SENTINEL_KEY = np.iinfo(np.int64).max
"""Ends each array of keys, so that a search always returns a valid index."""


class NGramCounts:
    """How often each n-gram of 1 … `order` tokens occurs in some texts.

    Source: ``eq-continuation`` (section 2.1); Kneser and Ney 1995.

    Parameters
    ----------
    sequences
        Ids of one text, (N,), or a sequence of the ids of several texts, such as sentences. Each
        text is counted after a context of order − 1 BOS.
    order
        The largest n.
    vocab_size
        V; ids are 0 … V − 1.

    Attributes
    ----------
    keys : list of numpy.ndarray
        ``keys[m]``: the sorted keys of the n-grams of m tokens, and SENTINEL_KEY.
    raw : list of numpy.ndarray
        ``raw[m]``: occurrences of each n-gram of m tokens, and a last 0, which the index −1 of an
        n-gram that does not occur selects. ``raw[0]`` is empty.
    continuation : list of numpy.ndarray
        ``continuation[m]``, for m < order: the number of distinct tokens before each n-gram; an
        n-gram that starts with BOS, which nothing can precede, has its occurrences here too.
        Ends with a 0, as `raw`.
    base : int
        The factor of the context's index in a key.

    Raises
    ------
    ValueError
        If a size is no positive whole number, and for ids outside the vocabulary.
    """

    def __init__(self, sequences: Ids | Sequence[Ids], *, order: int, vocab_size: int) -> None:
        check_positive(order=order, vocab_size=vocab_size)
        self.order, self.vocab_size = order, vocab_size
        self.base = max(vocab_size, BOS + 1)
        empty = np.zeros(0, dtype=np.int64)
        self.keys, self.raw, self.continuation = [np.array([0, SENTINEL_KEY])], [empty], [empty]
        self._count(*self._pad(sequences))

    def _pad(self, sequences: Ids | Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
        """Return all texts in one array, order − 1 BOS before each, and a mask of their tokens."""
        arrays = [as_id_array(ids, self.vocab_size) for ids in _as_sequences(sequences)]
        padding = np.full(self.order - 1, BOS)
        tokens = np.concatenate(
            [padding[:0], *(part for array in arrays for part in (padding, array))]
        )
        is_token = [np.repeat([False, True], [len(padding), len(array)]) for array in arrays]
        return tokens, np.concatenate([padding[:0].astype(bool), *is_token])

    def _count(self, tokens: np.ndarray, is_token: np.ndarray) -> None:
        """Fill `keys`, `raw` and `continuation`, from short n-grams to long ones."""
        # index of the n-gram of length − 1 tokens that starts at each position
        prefixes = np.zeros(len(tokens) + 1, dtype=np.int64)
        starts_with_bos = np.zeros(0, dtype=bool)
        for length in range(1, self.order + 1):
            keys = prefixes[: len(tokens) - length + 1] * self.base + tokens[length - 1 :]
            keys, first_positions, indices = np.unique(keys, return_index=True, return_inverse=True)
            weights = is_token[length - 1 :]  # an n-gram that ends with BOS does not count
            raw = np.bincount(indices, weights=weights, minlength=len(keys)).astype(np.int64)
            if length > 1:
                # each n-gram that occurs adds one left neighbour to its last length − 1 tokens
                suffixes = prefixes[first_positions[raw > 0] + 1]
                neighbours = np.bincount(suffixes, minlength=len(self.raw[-1]))
                self.continuation.append(np.where(starts_with_bos, self.raw[-1], neighbours))
            starts_with_bos = np.append(tokens[first_positions] == BOS, False)
            self.keys.append(np.append(keys, SENTINEL_KEY))
            self.raw.append(np.append(raw, 0))
            prefixes = indices

    def indices(self, ids: np.ndarray, order: int) -> list[np.ndarray]:
        """Look up all n-grams of 0 … `order` tokens in each row of `ids`.

        Parameters
        ----------
        ids
            B rows of N tokens, (B, N).
        order
            The largest number of tokens of an n-gram.

        Returns
        -------
        indices : list of numpy.ndarray
            Item m is (B, N + 1 − m): the index of the n-gram of m tokens that starts at each
            position, −1 where it does not occur.
        """
        indices = [np.zeros((len(ids), ids.shape[1] + 1), dtype=np.int64)]
        for length in range(1, order + 1):
            prefixes = indices[-1][:, : ids.shape[1] + 1 - length]  # (B, N + 1 − length)
            keys = prefixes * self.base + ids[:, length - 1 :]
            candidates = np.searchsorted(self.keys[length], keys)
            is_match = self.keys[length][candidates] == keys
            indices.append(np.where(is_match, candidates, -1))
        return indices

    def followers(self, contexts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """List the n-grams of `length` + 1 tokens that continue each of some contexts.

        Parameters
        ----------
        contexts
            Indices of R n-grams of `length` tokens, (R,); −1 has no followers.
        length
            The number of tokens of a context.

        Returns
        -------
        rows : numpy.ndarray
            For each follower, the position of its context in `contexts`.
        indices : numpy.ndarray
            For each follower, its own index.
        """
        starts, ends = (
            np.searchsorted(self.keys[length + 1], (contexts + i) * self.base) for i in (0, 1)
        )  # (R,) each
        rows = np.repeat(np.arange(len(contexts)), ends - starts)  # (number of followers,)
        offsets = np.cumsum(ends - starts) - ends  # (R,)
        return rows, np.arange(len(rows)) - offsets[rows]

    def context_indices(self, length: int) -> np.ndarray:
        """Return the index of the context of each n-gram of `length` tokens, (number of them + 1,).

        A context is all tokens but the last. The last entry is −1, for n-grams that do not occur.
        """
        return np.append(self.keys[length][:-1] // self.base, -1)

    def sum_by_context(self, values: np.ndarray, length: int) -> np.ndarray:
        """Sum values of n-grams over the followers of each context.

        Parameters
        ----------
        values
            One value for each n-gram of `length` tokens and one that is not summed, as in `raw`.
        length
            The number of tokens of an n-gram.

        Returns
        -------
        sums : numpy.ndarray
            One sum for each context of `length` − 1 tokens, and a last 0.
        """
        contexts = self.context_indices(length)[:-1]
        return np.bincount(contexts, weights=values[:-1], minlength=len(self.keys[length - 1]))

    def as_order(self, order: int | None) -> int:
        """Return the order of a model on these counts: the largest counted where it is None.

        Raises
        ------
        ValueError
            For an order that was not counted.
        """
        if order is not None and not 1 <= order <= self.order:
            raise ValueError(f"order={order}, but n-grams of 1 … {self.order} tokens were counted")
        return order or self.order

    def count(self, ngram: Sequence[int], *, continuation: bool = False) -> int:
        """Return how often one n-gram occurs, or how many distinct tokens occur before it.

        Parameters
        ----------
        ngram
            Its ids.
        continuation
            Whether to return the number of distinct tokens before it.

        Returns
        -------
        count : int
            0 for an n-gram that does not occur.

        Raises
        ------
        ValueError
            For an n-gram of no tokens, or of more tokens than were counted, and for ids outside the
            vocabulary.
        """
        counts = self.continuation if continuation else self.raw
        if not 1 <= len(ngram) < len(counts):
            raise ValueError(
                f"an n-gram of {len(ngram)} tokens, but these counts hold n-grams of "
                f"1 … {len(counts) - 1} tokens"
            )
        row = as_id_array(ngram, self.vocab_size)[None]  # (1, m)
        return int(counts[len(ngram)][self.indices(row, len(ngram))[-1][0, 0]])

    def ngrams(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """List the n-grams of `length` tokens that occur.

        Returns
        -------
        ids : numpy.ndarray
            The tokens of each of N n-grams, (N, length).
        occurrences : numpy.ndarray
            How often each occurs, (N,).
        """
        indices = np.flatnonzero(self.raw[length])
        occurrences, columns = self.raw[length][indices], []
        for keys in self.keys[length:0:-1]:
            indices, last_tokens = np.divmod(keys[indices], self.base)
            columns.append(last_tokens)
        return np.stack(columns[::-1], axis=-1), occurrences


def as_id_array(ids: Ids, vocab_size: int) -> np.ndarray:
    """Convert the ids of one text to an array, and check them.

    Parameters
    ----------
    ids
        The ids of one text, (N,).
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    array : numpy.ndarray
        The ids, (N,) int64.

    Raises
    ------
    ValueError
        For anything but one row of whole numbers, and for ids outside 0 … `vocab_size` − 1.
    """
    array = ids.cpu().numpy() if isinstance(ids, torch.Tensor) else np.asarray(ids)
    array = array.astype(np.int64) if array.size == 0 else array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"expected ids of shape (N,); got {array.dtype} {array.shape}")
    if array.size and not (0 <= array.min() and array.max() < vocab_size):
        invalid = array[(array < 0) | (array >= vocab_size)]
        raise ValueError(f"ids {invalid[:5]} lie outside this vocabulary of {vocab_size} tokens")
    return array.astype(np.int64)


def _as_sequences(sequences: Ids | Sequence[Ids]) -> list[Ids]:
    """Return the ids of one text or of several as a list."""
    if isinstance(sequences, np.ndarray | torch.Tensor):
        return list(sequences) if sequences.ndim == 2 and len(sequences) else [sequences]
    is_nested = len(sequences) > 0 and np.ndim(sequences[0]) == 1
    return list(sequences) if is_nested else [sequences]  # type: ignore[list-item,arg-type]
