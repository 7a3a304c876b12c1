"""Vectors of n-grams of tokens, which a language model adds to those of its tokens.

Section 6.2 measures how much they improve a GPT. An n-gram is found in a table by its number; a
table may have fewer rows than there are n-grams (the hashing trick, Weinberger et al. 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from utils.arguments import check_positive, check_positive_items
from utils.data.checks import is_integer_tensor
from utils.data.vocabulary import PAD
from utils.models.checks import check_id_tensor
from utils.models.typed_module import TypedModule

_LARGEST_NUMBER = torch.iinfo(torch.int64).max


class NGramEmbedding(TypedModule):
    """Tables of the vectors of pairs, triples and so on, which are summed for each token.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    table_sizes
        Number of rows of each table: for pairs, for triples, and so on (see `ngram_row`).

    Raises
    ------
    ValueError
        If a size is not a positive integer, or there is no table.
    """

    def __init__(self, vocab_size: int, width: int, *, table_sizes: Sequence[int]) -> None:
        check_positive(vocab_size=vocab_size, width=width)
        check_positive_items(table_sizes=table_sizes)
        if len(table_sizes) == 0:
            raise ValueError("table_sizes is empty: expected at least one, the rows for pairs")
        super().__init__()
        self.vocab_size = vocab_size
        for i, rows in enumerate(table_sizes):
            self.add_module(str(i), nn.Embedding(rows, width))

    @property
    def tables(self) -> list[nn.Embedding]:
        """The tables, in the order of `table_sizes`."""
        return [table for table in self.children() if isinstance(table, nn.Embedding)]

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

        Raises
        ------
        ValueError
            If the ids are not integers (B, T), or the context is not int64 (B, n − 1).
        """
        check_id_tensor(ids)
        (B, T), ids, tables = ids.shape, ids.long(), self.tables
        if context is None:
            context = ids.new_full((B, len(tables)), PAD)
        elif context.dtype != torch.int64 or context.shape != (B, len(tables)):
            raise ValueError(
                f"context must be int64 of shape ({B}, {len(tables)}), the tokens before these; "
                f"got {context.dtype} {tuple(context.shape)}"
            )
        tokens = torch.cat([context, ids], 1)  # (B, n − 1 + T)
        vectors = []
        for n, table in enumerate(tables, start=2):
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

    Raises
    ------
    ValueError
        If a size is not a positive integer, the ids are not integers (…, n), or the numbers of so
        many rows and tokens do not fit into int64.

    Examples
    --------
    >>> import torch
    >>> from utils.models.ngram_embedding import ngram_row
    >>> ngram_row(torch.tensor([[4, 5], [5, 4]]), vocab_size=10, rows=100)
    tensor([45, 54])
    """
    check_positive(vocab_size=vocab_size, rows=rows)  # no base is coprime to 0
    is_tensor = isinstance(ngrams, torch.Tensor)
    if not is_tensor or not is_integer_tensor(ngrams) or 0 in (ngrams.ndim, *ngrams.shape[-1:]):
        got = f"{ngrams.dtype} {tuple(ngrams.shape)}" if is_tensor else type(ngrams).__name__
        raise ValueError(f"ngrams must be a tensor of integers (…, n) with n ≥ 1; got {got}")
    base = vocab_size
    while rows < vocab_size ** ngrams.shape[-1] and math.gcd(base, rows) > 1:
        base += 1
    if rows * base > _LARGEST_NUMBER:
        raise ValueError(
            f"rows={rows} and vocab_size={vocab_size} give numbers beyond int64: their product "
            f"must be at most {_LARGEST_NUMBER}"
        )
    row = torch.zeros_like(ngrams[..., 0], dtype=torch.int64)
    for ids in ngrams.unbind(-1):
        row = (row * base + ids) % rows  # at each digit, so that no number grows beyond 64 bits
    return row
