"""Counts of n-grams: those of plain loops, continuation counts, several texts, any container."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from utils.data.vocabulary import BOS
from utils.models.ngram_counts import NGramCounts

V = 9
TEXT = [4, 5, 4, 6, 5, 4, 7, 4, 5, 6, 6, 4, 5, 4, 7]  # 8 never occurs


def count(sequences, order: int) -> NGramCounts:
    return NGramCounts(sequences, order=order, vocab_size=V)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_counts_are_those_of_plain_loops(order):
    counts, padded = count(TEXT, order), [BOS] * (order - 1) + TEXT
    for m in range(1, order + 1):
        expected = Counter(tuple(padded[i - m + 1 : i + 1]) for i in range(order - 1, len(padded)))
        ids, occurrences = counts.ngrams(m)
        computed = {tuple(row): n for row, n in zip(ids.tolist(), occurrences, strict=True)}
        assert computed == expected
        assert all(counts.count(ngram) == n for ngram, n in expected.items())
        assert counts.count([8] * m) == 0


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_text_shorter_than_an_n_gram_contains_none(order):
    indices = count(TEXT, order).indices(np.zeros((2, 1), dtype=int), order)
    assert [row.shape for row in indices] == [(2, max(0, 2 - m)) for m in range(order + 1)]


def test_continuation_counts_are_distinct_left_neighbours():
    counts, padded = count(TEXT, 3), [BOS, BOS, *TEXT]
    for m in (1, 2):
        longer = {tuple(padded[i - m : i + 1]) for i in range(2, len(padded))}
        expected = Counter(ngram[1:] for ngram in longer)
        for ngram in itertools.product(range(4, V), repeat=m):
            assert counts.count(ngram, continuation=True) == expected[ngram]
    assert counts.count([BOS, 4]) == counts.count([BOS, 4], continuation=True) == 1


def test_n_grams_that_start_with_bos_have_their_occurrences_as_continuation_counts():
    counts = count([[4, 5], [4, 6], [4, 5]], 3)
    assert counts.count([BOS, 4], continuation=True) == counts.count([BOS, 4]) == 3
    assert counts.count([4, 5], continuation=True) == 1  # after BOS only


def test_no_n_gram_spans_two_texts():
    counts = count([[4, 5], [6], [], [7, 4]], 2)
    assert counts.count([BOS, 4]) == counts.count([BOS, 6]) == counts.count([BOS, 7]) == 1
    assert counts.count([5, 6]) == counts.count([6, 7]) == 0
    trigrams = count([[4, 5], [6]], 3)  # the BOS before a text follows nothing
    assert trigrams.count([5, BOS]) == trigrams.count([5, BOS], continuation=True) == 0


@pytest.mark.parametrize(
    "text",
    [tuple(TEXT), np.array(TEXT), torch.tensor(TEXT)],
    ids=["tuple", "array", "tensor"],
)
def test_a_text_in_any_container_gives_the_same_counts(text):
    expected, counts = count(TEXT, 3), count(text, 3)
    assert np.array_equal(counts.keys[3], expected.keys[3])
    assert np.array_equal(counts.raw[3], expected.raw[3])
    assert not counts.are_sentences


SENTENCES = [[4, 5, 4], [6, 5, 4], [5, 5, 5]]


@pytest.mark.parametrize(
    "sentences",
    [
        tuple(map(tuple, SENTENCES)),
        [np.array(ids) for ids in SENTENCES],
        np.array(SENTENCES),
        torch.tensor(SENTENCES),
        [[BOS, *ids] for ids in SENTENCES],
    ],
    ids=["tuples", "list of arrays", "array", "tensor", "with their own BOS"],
)
def test_sentences_in_any_container_give_the_same_counts(sentences):
    expected, counts = count(SENTENCES, 3), count(sentences, 3)
    for m in (1, 2, 3):
        assert np.array_equal(counts.keys[m], expected.keys[m])
        assert np.array_equal(counts.raw[m], expected.raw[m])
    assert counts.are_sentences and count([TEXT], 3).are_sentences


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_sentences_are_counted_after_one_bos(order):
    """As KenLM does: no n-gram has two, and none reaches from one sentence into the next."""
    counts = count(SENTENCES, order)
    for m in range(1, order + 1):
        ngrams = Counter(
            ngram
            for ids in SENTENCES
            for ngram in zip(*([BOS, *ids][i:] for i in range(m)), strict=False)
            if ngram != (BOS,)
        )
        ids, occurrences = counts.ngrams(m)
        assert dict(zip(map(tuple, ids.tolist()), occurrences, strict=True)) == ngrams
        if m == order:
            continue
        for ngram in ngrams:
            left = {
                (BOS, *ids)[i]
                for ids in SENTENCES
                for i in range(len(ids) + 1 - m)
                if (BOS, *ids)[i + 1 : i + 1 + m] == ngram
            }
            expected = ngrams[ngram] if ngram[0] == BOS else len(left)
            assert counts.count(ngram, continuation=True) == expected


def test_which_n_grams_start_with_bos():
    for sequences in (TEXT, SENTENCES):
        counts = count(sequences, 3)
        for m in (1, 2, 3):
            starts = counts.starts_with_bos(m)
            assert starts.shape == counts.raw[m].shape and not starts[-1]
            ids, _ = counts.ngrams(m)
            assert (starts[np.flatnonzero(counts.raw[m])] == (ids[:, 0] == BOS)).all()


def test_tokens_that_are_never_predicted_have_no_part_of_the_uniform_distribution():
    counts = NGramCounts(SENTENCES, order=2, vocab_size=V, never_predicted=(0, BOS))
    assert counts.uniform_probs.tolist() == [0, 0, *[1 / 7] * 7]
    assert count(SENTENCES, 2).uniform_probs.tolist() == [1 / 9] * 9


def test_followers_are_the_n_grams_that_continue_a_context():
    counts = count(TEXT, 2)
    contexts = counts.indices(np.array([[5, 8, 7]]), 1)[1][0]  # 8 does not occur
    rows, indices = counts.followers(contexts, 1)
    last_tokens = counts.keys[2][indices] % counts.base
    expected = {(0, 4), (0, 6), (2, 4)}
    assert set(zip(rows.tolist(), last_tokens.tolist(), strict=True)) == expected
    assert (counts.context_indices(2)[indices] == contexts[rows]).all()
    assert counts.context_indices(2)[-1] == -1


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: NGramCounts(TEXT, order=0, vocab_size=V),
            "order must be a positive integer, got 0",
        ),
        (
            lambda: NGramCounts(TEXT, order=101, vocab_size=V),
            "order must be an integer from 1 to 100, got 101",
        ),
        (
            lambda: NGramCounts(TEXT, order=2, vocab_size=0),
            "vocab_size must be a positive integer, got 0",
        ),
        (lambda: count([4, V], 2), f"ids \\[{V}\\] lie outside"),
        (lambda: count([4, -1], 2), "ids \\[-1\\] lie outside"),
        (lambda: count([4.5, 1.0], 2), "expected ids"),
        (lambda: count(np.zeros((0, 3), dtype=int), 2), "expected ids"),
        (lambda: count(TEXT, 2).count([]), "n-gram of 0 tokens, .* hold n-grams of 1 … 2 tokens"),
        (lambda: count(TEXT, 2).count([4, 4, 4]), "n-gram of 3 tokens"),
        (lambda: count(TEXT, 2).count([4, 4], continuation=True), "hold n-grams of 1 … 1"),
        (lambda: count([[4], [5, BOS, 4]], 2), "sentence 1 has BOS \\(id 1\\) after its first"),
        (lambda: count([[4], [BOS, BOS, 4]], 2), "sentence 1 has BOS"),
        (
            lambda: NGramCounts(SENTENCES, order=2, vocab_size=V, never_predicted=[5]),
            "id 5 is never predicted, but it occurs in the texts",
        ),
        (
            lambda: NGramCounts(SENTENCES, order=2, vocab_size=V, never_predicted=[V]),
            f"ids \\[{V}\\] lie outside",
        ),
        (
            lambda: NGramCounts([], order=2, vocab_size=2, never_predicted=[0, 1]),
            "never_predicted leaves none of 2 tokens",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("length", [0, 9, -1, 1.0, True])
def test_ngrams_of_a_length_that_was_not_counted_are_refused(length):
    counts = NGramCounts([4, 5, 4], order=2, vocab_size=V)
    with pytest.raises(ValueError, match=f"length={length}, but n-grams of 1 … 2 tokens were"):
        counts.ngrams(length)


@pytest.mark.parametrize("sequences", [[4, 5, 4], [[4, 5], [5, 4, 4]]])
def test_texts_may_come_from_a_generator(sequences):
    counted = NGramCounts(iter(sequences), order=2, vocab_size=V)
    expected = NGramCounts(sequences, order=2, vocab_size=V)
    assert counted.are_sentences == expected.are_sentences
    for ours, theirs in zip(counted.raw, expected.raw, strict=True):
        assert np.array_equal(ours, theirs)


def test_what_is_not_a_collection_is_not_counted():
    with pytest.raises(ValueError, match="ids of a text or of sentences, got 4"):
        NGramCounts(4, order=2, vocab_size=V)


@pytest.mark.parametrize("length", [0, -1, 3, 1.5, math.nan])
def test_lengths_that_were_not_counted_are_refused(length):
    """Recursion would have no end, and −1 would stand for the longest n-grams."""
    counts = NGramCounts([[4, 5, 6]], order=2, vocab_size=9)
    with pytest.raises(ValueError, match=r"n-grams of 1 … 2 tokens were counted"):
        counts.starts_with_bos(length)
    with pytest.raises(ValueError, match=r"n-grams of 1 … 2 tokens were counted"):
        counts.context_indices(length)
