"""Vectors of n-grams of tokens, which a language model adds to those of its tokens.

Section 6.2 measures what they bring to a GPT. An n-gram is found in a table by its number; a table
may have fewer rows than there are n-grams (the hashing trick, Weinberger et al. 2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn


def sum_ngram_vectors(
    tokens: torch.Tensor, tables: Iterable[nn.Module], *, T: int, vocab_size: int
) -> torch.Tensor:
    """Return the sum of the vectors of all n-grams that end at each of the last T tokens.

    Parameters
    ----------
    tokens
        T tokens and, before them, as many as there are tables, (B, N).
    tables
        The embeddings of pairs, of triples, and so on.
    T
        The number of tokens that get a vector.
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    torch.Tensor
        The sums, (B, T, D).
    """
    vectors = []
    for n, table in enumerate(tables, start=2):
        assert isinstance(table, nn.Embedding)
        padded = tokens[:, tokens.shape[1] - (T + n - 1) :]  # (B, T + n − 1)
        ngrams = torch.stack([padded[:, i : i + T] for i in range(n)], -1)  # (B, T, n)
        vectors.append(table(ngram_row(ngrams, vocab_size=vocab_size, rows=table.num_embeddings)))
    return sum(vectors[1:], start=vectors[0])


def ngram_row(ngrams: torch.Tensor, *, vocab_size: int, rows: int) -> torch.Tensor:
    """Return the row of each n-gram in a table, the same for the same n-gram.

    An n-gram is read as a number whose digits are its ids, modulo `rows`. With at least Vⁿ rows no
    two n-grams share one. With fewer, the base of the number is the first from V on that has no
    divisor in common with `rows`, so that the row depends on every id.

    Parameters
    ----------
    ngrams
        Ids, (…, n) int64 or int32.
    vocab_size
        Size V of the vocabulary.
    rows
        Number of rows of the table.

    Returns
    -------
    torch.Tensor
        Numbers from 0 to `rows` − 1, (…) int64.
    """
    base = vocab_size
    while rows < vocab_size ** ngrams.shape[-1] and math.gcd(base, rows) > 1:
        base += 1
    row = torch.zeros_like(ngrams[..., 0], dtype=torch.int64)
    for ids in ngrams.unbind(-1):
        row = (row * base + ids) % rows  # at each digit, so that no number grows beyond 64 bits
    return row
