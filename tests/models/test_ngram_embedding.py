"""The row of an n-gram in a table, and the sum of the vectors of a text's n-grams."""

import itertools

import pytest
import torch

from tests.helpers.tensors import same
from utils.data.vocabulary import PAD
from utils.models.ngram_embedding import NGramEmbedding, ngram_row


@pytest.mark.parametrize("n, rows", [(2, 25), (3, 125), (3, 200)])
def test_each_n_gram_has_its_own_row_where_there_are_enough(n, rows):
    ngrams = torch.cartesian_prod(*[torch.arange(5)] * n)
    assert ngram_row(ngrams, vocab_size=5, rows=rows).tolist() == list(range(5**n))


@pytest.mark.parametrize("vocab_size, rows", [(65, 8192), (64, 8192), (50_000, 4096), (7, 6)])
def test_a_shared_row_depends_on_every_word_of_the_n_gram(vocab_size, rows):
    generator = torch.Generator().manual_seed(0)
    ngrams = torch.randint(vocab_size, (5000, 5), generator=generator)
    row = ngram_row(ngrams, vocab_size=vocab_size, rows=rows)
    assert row.min() >= 0 and row.max() < rows
    for position in range(5):
        other = ngrams.clone()
        other[:, position] = (other[:, position] + 1) % vocab_size
        # another word whose id differs by no multiple of the number of rows: another row
        differs = (other[:, position] - ngrams[:, position]) % rows != 0
        changed = ngram_row(other, vocab_size=vocab_size, rows=rows) != row
        assert changed[differs].all() and differs.any()
    counts = row.bincount(minlength=rows).double()
    assert counts.max() < 8 * max(1, 5000 / rows), "all rows are used about equally"


def test_the_number_of_an_n_gram_may_exceed_64_bits():
    number = sum(49_999 * 50_001**k for k in range(5))
    assert ngram_row(torch.full((5,), 49_999), vocab_size=50_000, rows=4096) == number % 4096


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_the_row_does_not_depend_on_the_type_of_the_ids(dtype):
    ngrams = torch.tensor([[4_999, 4_998, 4_997], [1, 2, 3]])
    rows = ngram_row(ngrams.to(dtype), vocab_size=5_000, rows=10**9)
    assert rows.tolist() == [(4_999 * 5_001**2 + 4_998 * 5_001 + 4_997) % 10**9, 25_020_006]


@pytest.mark.parametrize("T", [0, 1, 5])
def test_the_vectors_of_pairs_and_triples_are_added_up(T):
    embedding = NGramEmbedding(7, 3, table_sizes=(49, 343))
    tokens = torch.randint(7, (2, T + 2))
    vectors, context = embedding(tokens[:, 2:], tokens[:, :2])
    assert vectors.shape == (2, T, 3) and torch.equal(context, tokens[:, T:])
    pairs, triples = (table.weight for table in embedding.tables)
    for b, t in itertools.product(range(2), range(T)):
        x, y, z = tokens[b, t : t + 3].tolist()
        assert same(vectors[b, t], pairs[7 * y + z] + triples[49 * x + 7 * y + z], 1e-6)


def test_the_names_of_the_tables_are_their_numbers():
    """So are those of stored weights."""
    assert list(NGramEmbedding(7, 3, table_sizes=(49, 50)).state_dict()) == ["0.weight", "1.weight"]


def test_there_must_be_a_table():
    with pytest.raises(ValueError, match="table_sizes is empty: expected at least one"):
        NGramEmbedding(7, 3, table_sizes=())


def test_padding_precedes_the_first_token():
    embedding = NGramEmbedding(7, 3, table_sizes=(49, 343))
    ids = torch.randint(7, (2, 4))
    expected = embedding(ids, torch.full((2, 2), PAD))
    assert all(torch.equal(a, b) for a, b in zip(embedding(ids), expected, strict=True))


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"vocab_size": 9, "rows": 0}, "rows must be a positive integer, got 0"),  # went on forever
        ({"vocab_size": 9, "rows": -4}, "rows must be a positive integer, got -4"),
        ({"vocab_size": 2.5, "rows": 4}, "vocab_size must be a positive integer, got 2.5"),
        ({"vocab_size": 10**5, "rows": 2**62}, "give numbers beyond int64"),
    ],
)
def test_sizes_without_a_row_for_each_ngram_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        ngram_row(torch.tensor([[4, 5]]), **sizes)


@pytest.mark.parametrize(
    "ngrams", [[[4, 5]], torch.tensor([[4.0, 5.0]]), torch.tensor(4), torch.zeros(2, 0).long()]
)
def test_what_is_no_ngram_is_refused(ngrams):
    with pytest.raises(ValueError, match="ngrams must be a tensor of integers"):
        ngram_row(ngrams, vocab_size=9, rows=81)


@pytest.mark.parametrize(
    "context", [torch.ones(2, 1).long(), torch.ones(2, 3).long(), torch.ones(2, 2)]
)
def test_a_context_of_other_tokens_is_refused(context):
    embedding = NGramEmbedding(7, 3, table_sizes=(49, 343))
    with pytest.raises(ValueError, match=r"context must be int64 of shape \(2, 2\)"):
        embedding(torch.ones(2, 4).long(), context)
    with pytest.raises(ValueError, match="ids must be integers"):
        embedding(torch.ones(2, 4))
