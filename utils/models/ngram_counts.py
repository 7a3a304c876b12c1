"""Counts of n-grams, from which the n-gram language models of ``utils.models.ngram`` are estimated.

Derived in section 2.1. Continuation counts: Kneser and Ney 1995.

Each n-gram of m tokens has an index, its position in the sorted array ``keys[m]``. Its key is
(index of its first m − 1 tokens) · base + (id of its last token), so that the n-grams that continue
a context are neighbours in the array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral

import numpy as np

from utils.arguments import check_bool, check_integer, check_positive
from utils.data.vocabulary import BOS
from utils.models.ngram_texts import Ids, JoinedTexts, as_id_array, join_texts

MAX_ORDER = 100  # the time to count one text grows with its square
SENTINEL_KEY = np.iinfo(np.int64).max
"""Ends each array of keys, so that a search always returns a valid index."""


class NGramCounts:
    """How often each n-gram of 1 … `order` tokens occurs in some texts.

    Source: ``eq-continuation`` (section 2.1); Kneser and Ney 1995.

    Parameters
    ----------
    sequences
        Ids of one running text, (N,), counted after a context of order − 1 BOS; or a sequence of
        the ids of sentences, each counted after one BOS, its own where it begins with BOS. No
        n-gram of sentences has two BOS.
    order
        The largest n; at most 100.
    vocab_size
        V; ids are 0 … V − 1.
    never_predicted
        Ids to which models give probability 0, and which do not count as words of the uniform
        distribution: (PAD, BOS) for models of sentences that are compared with those of KenLM.

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
    are_sentences : bool
        Whether sentences were counted, not a running text.
    uniform_probs : numpy.ndarray
        The uniform distribution over the tokens that are predicted, (V,).

    Raises
    ------
    ValueError
        If a size is not a positive integer, `order` is above 100, for ids outside the vocabulary,
        for a sentence with BOS after its first token or with PAD, and if a token that is never
        predicted occurs, or none is left.

    Examples
    --------
    >>> from utils.models.ngram_counts import NGramCounts
    >>> counts = NGramCounts([4, 5, 4, 5, 4, 6], order=2, vocab_size=7)
    >>> counts.count([4, 5])
    2
    >>> counts.count([4], continuation=True)
    2
    """

    def __init__(
        self,
        sequences: Ids | Iterable[Ids],
        *,
        order: int,
        vocab_size: int,
        never_predicted: Sequence[int] = (),
    ) -> None:
        check_positive(order=order, vocab_size=vocab_size)
        check_integer(minimum=1, maximum=MAX_ORDER, order=order)
        self.order, self.vocab_size = order, vocab_size
        self.base = max(vocab_size, BOS + 1)
        self.uniform_probs = _uniform_probs(vocab_size, never_predicted)
        empty = np.zeros(0, dtype=np.int64)
        self.keys, self.raw, self.continuation = [np.array([0, SENTINEL_KEY])], [empty], [empty]
        texts = join_texts(sequences, order=order, vocab_size=vocab_size)
        self.are_sentences = texts.are_sentences
        self._check_predicted(texts.tokens[texts.is_token])
        self._count(texts)

    def _count(self, texts: JoinedTexts) -> None:
        """Fill `keys`, `raw` and `continuation`, from short n-grams to long ones."""
        tokens, is_token, text_numbers, _ = texts  # (N,) each
        # index of the n-gram of length − 1 tokens that starts at each position
        prefixes = np.zeros(len(tokens) + 1, dtype=np.int64)
        for length in range(1, self.order + 1):
            ends = np.arange(length - 1, len(tokens))
            ends = ends[text_numbers[ends] == text_numbers[ends - length + 1]]  # within one text
            starts = ends - length + 1
            keys = prefixes[starts] * self.base + tokens[ends]
            keys, first_rows, indices = np.unique(keys, return_index=True, return_inverse=True)
            weights = is_token[ends]  # an n-gram that ends with BOS does not count
            raw = np.bincount(indices, weights=weights, minlength=len(keys)).astype(np.int64)
            if length > 1:
                # each n-gram that occurs adds one left neighbour to its last length − 1 tokens
                suffixes = prefixes[starts[first_rows[raw > 0]] + 1]
                neighbours = np.bincount(suffixes, minlength=len(self.raw[-1]))
                is_start = self.starts_with_bos(length - 1)
                self.continuation.append(np.where(is_start, self.raw[-1], neighbours))
            self.keys.append(np.append(keys, SENTINEL_KEY))
            self.raw.append(np.append(raw, 0))
            prefixes[starts] = indices

    def _check_predicted(self, tokens: np.ndarray) -> None:
        """Raise ValueError if one of the tokens of the texts is never predicted."""
        impossible = tokens[self.uniform_probs[tokens] == 0]
        if len(impossible):
            raise ValueError(f"id {impossible[0]} is never predicted, but it occurs in the texts")

    def starts_with_bos(self, length: int) -> np.ndarray:
        """Return whether each n-gram of `length` ≥ 1 tokens starts with BOS, as `raw` bool.

        Raises
        ------
        ValueError
            For a length that was not counted.
        """
        self._check_counted(length=length)
        if length == 1:
            is_bos: np.ndarray = self.keys[1] == BOS
            return is_bos
        are_starts: np.ndarray = self.starts_with_bos(length - 1)[self.context_indices(length)]
        return are_starts

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

        Raises
        ------
        ValueError
            For a length that was not counted.
        """
        self._check_counted(length=length)
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
        """Return the order of a model on these counts: the largest counted if it is None.

        Raises
        ------
        ValueError
            For an order that was not counted, or is not an integer.
        """
        if order is None:
            return self.order
        self._check_counted(order=order)
        return int(order)

    def _check_counted(self, **lengths: int) -> None:
        """Raise ValueError for a length of n-grams, by its name, that was not counted."""
        for name, length in lengths.items():
            is_integer = isinstance(length, Integral) and not isinstance(length, bool)
            if not is_integer or not 1 <= length <= self.order:
                raise ValueError(
                    f"{name}={length!r}, but n-grams of 1 … {self.order} tokens were counted"
                )

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
            For an empty n-gram, an n-gram of more tokens than were counted, for ids outside the
            vocabulary, and if `continuation` is neither True nor False.
        """
        check_bool(continuation=continuation)
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

        Raises
        ------
        ValueError
            For a length that was not counted.
        """
        self._check_counted(length=length)
        indices = np.flatnonzero(self.raw[length])
        occurrences, columns = self.raw[length][indices], []
        for keys in self.keys[length:0:-1]:
            indices, last_tokens = np.divmod(keys[indices], self.base)
            columns.append(last_tokens)
        return np.stack(columns[::-1], axis=-1), occurrences


def _uniform_probs(vocab_size: int, never_predicted: Sequence[int]) -> np.ndarray:
    """Return the uniform distribution over all tokens but those never predicted, (V,)."""
    is_predicted = np.ones(vocab_size, dtype=bool)
    is_predicted[as_id_array(never_predicted, vocab_size)] = False
    if not is_predicted.any():
        raise ValueError(f"never_predicted leaves none of {vocab_size} tokens to be predicted")
    probs: np.ndarray = is_predicted / is_predicted.sum()
    return probs
