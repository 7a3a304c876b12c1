"""Texts as arrays for counting: BOS before each, containers, and ids that are refused."""

import itertools

import numpy as np
import pytest
import torch

from utils.data.batches import pad
from utils.data.vocabulary import BOS, PAD
from utils.models.ngram_texts import as_id_array, join_texts

V = 9


@pytest.mark.parametrize("order, num_bos", [(1, 0), (2, 1), (4, 3)])
def test_a_running_text_gets_bos_for_a_whole_context(order, num_bos):
    texts = join_texts([4, 5, 4], order=order, vocab_size=V)
    assert texts.tokens.tolist() == [BOS] * num_bos + [4, 5, 4]
    assert texts.is_token.tolist() == [False] * num_bos + [True] * 3
    assert set(texts.text_numbers.tolist()) == {0} and not texts.are_sentences


@pytest.mark.parametrize("order, bos", [(1, []), (2, [BOS]), (4, [BOS])])
def test_each_sentence_gets_one_bos_unless_it_has_its_own(order, bos):
    texts = join_texts([[4, 5], [BOS, 6], []], order=order, vocab_size=V)
    assert texts.tokens.tolist() == [*bos, 4, 5, *bos, 6, *bos]
    starts = [False] * len(bos)
    assert texts.is_token.tolist() == [*starts, True, True, *starts, True, *starts]
    numbers = [[0] * (len(bos) + 2), [1] * (len(bos) + 1), [2] * len(bos)]
    assert texts.text_numbers.tolist() == [*itertools.chain(*numbers)]
    assert texts.are_sentences


@pytest.mark.parametrize("ids", [[4, 8], (4, 8), np.array([4, 8], dtype=np.uint8)], ids=repr)
def test_ids_in_any_container_become_int64(ids):
    for container in (ids, torch.tensor(list(ids))):
        array = as_id_array(container, V)
        assert array.dtype == np.int64 and array.tolist() == [4, 8]
    assert as_id_array([], V).tolist() == []


def test_mistakes_are_named():
    for ids, message in (
        (torch.zeros(2, 2, dtype=torch.long), r"expected ids of shape \(N,\); got int64 \(2, 2\)"),
        ([4.5, 1.0], "expected ids of shape .* got float64"),
        ([4, V], f"ids \\[{V}\\] lie outside this vocabulary of {V} tokens"),
        ([-1], r"ids \[-1\] lie outside"),
    ):
        with pytest.raises(ValueError, match=message):
            as_id_array(ids, V)
    with pytest.raises(ValueError, match="sentence 1 has BOS"):
        join_texts([[4], [5, BOS]], order=2, vocab_size=V)


def test_sentences_that_are_padded_are_refused():
    sentences = [[4, 5, 2], [4, 2]]
    for padded in (pad(sentences), pad(sentences).numpy(), [[4, 5, 2], [4, 2, PAD]]):
        with pytest.raises(ValueError, match=r"sentence 1 has PAD .* lists of their own len"):
            join_texts(padded, order=2, vocab_size=V)
    assert PAD in join_texts([4, PAD, 5], order=2, vocab_size=V).tokens, "of a running text"
