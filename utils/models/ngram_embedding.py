"""Vectors of n-grams of tokens, which a language model adds to those of its tokens.

Section 6.2 measures how much they improve a GPT. An n-gram is found in a table by its number; a
table may have fewer rows than there are n-grams (the hashing trick, Weinberger et al. 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.typed_module import TypedModule


class NGramEmbedding(TypedModule, nn.ModuleList):
    """Tables of the vectors of pairs, triples and so on, which are summed for each token.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    table_sizes
        Number of rows of each table: for pairs, for triples, and so on (see `ngram_row`).
    """

    def __init__(self, vocab_size: int, width: int, *, table_sizes: Sequence[int]) -> None:
        super().__init__(nn.Embedding(rows, width) for rows in table_sizes)
        self.vocab_size = vocab_size

    def forward(
        self, ids: torch.Tensor, context: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum the vectors of all n-grams that end at each token.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64 or int32.
        context
            The n − 1 tokens before them, (B, n − 1) int64, where n is the largest order; PAD if
            None.

        Returns
        -------
        vectors : torch.Tensor
            The sums, (B, T, D).
        context : torch.Tensor
            The last n − 1 tokens, (B, n − 1) int64.
        """
        (B, T), ids = ids.shape, ids.long()
        if context is None:
            context = ids.new_full((B, len(self)), PAD)
        tokens = torch.cat([context, ids], 1)  # (B, n − 1 + T)
        vectors = []
        for n, table in enumerate(self, start=2):
            assert isinstance(table, nn.Embedding)
            padded = tokens[:, tokens.shape[1] - (T + n - 1) :]  # (B, T + n − 1)
            ngrams = torch.stack([padded[:, i : i + T] for i in range(n)], -1)  # (B, T, n)
            rows = ngram_row(ngrams, vocab_size=self.vocab_size, rows=table.num_embeddings)
            vectors.append(table(rows))  # (B, T, D)
        return sum(vectors[1:], start=vectors[0]), tokens[:, T:]


def ngram_row(ngrams: torch.Tensor, *, vocab_size: int, rows: int) -> torch.Tensor:
    """Return the row of each n-gram in a table, the same for the same n-gram.

    An n-gram is read as a number whose digits are its ids, modulo `rows`. With at least Vⁿ rows no
    two n-grams share one. With fewer, the base of the number is the smallest integer from V on that
    is coprime to `rows`, so that the row depends on every id.

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
    row : torch.Tensor
        Integers from 0 to `rows` − 1, (…) int64.
    """
    base = vocab_size
    while rows < vocab_size ** ngrams.shape[-1] and math.gcd(base, rows) > 1:
        base += 1
    row = torch.zeros_like(ngrams[..., 0], dtype=torch.int64)
    for ids in ngrams.unbind(-1):
        row = (row * base + ids) % rows  # at each digit, so that no number grows beyond 64 bits
    return row
