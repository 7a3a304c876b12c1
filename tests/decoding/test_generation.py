"""Rules that greedy search, sampling and beam search have in common."""

import itertools
import math

import pytest
import torch

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm
from utils.data.vocabulary import BOS, PAD
from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.generation import allowed_logits
from utils.decoding.sampling import sample
from utils.decoding.search import greedy_search

DECODERS = [greedy_search, sample, beam_search]
every_decoder = pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__name__)


def test_pad_and_bos_are_never_generated():
    model = FixedLogits([9.0, 9.0, 0.0, 0.0, 1.0, 0.0])
    sequences = greedy_search(model, bos(3), max_length=5)
    sequences += sample(model, bos(3), max_length=5)
    hypotheses = beam_search(model, bos(), config=BeamConfig(5), max_length=5)[0]
    sequences += [hypothesis.ids for hypothesis in hypotheses]
    assert sequences[0] == [4] * 5 and not {PAD, BOS} & set(itertools.chain(*sequences))


def test_the_logits_of_the_model_stay_as_they_were():
    logits = torch.zeros(2, 5)
    assert allowed_logits(logits)[:, [PAD, BOS]].tolist() == [[-math.inf] * 2] * 2
    assert torch.equal(logits, torch.zeros(2, 5))


def test_a_model_that_never_ends_is_cut_off_at_max_length():
    model = FixedLogits([0.0, 0.0, -math.inf, 0.0, 1.0, 0.0])
    assert greedy_search(model, bos(2), max_length=4) == [[4] * 4] * 2
    assert [len(ids) for ids in sample(model, bos(2), max_length=4)] == [4, 4]
    hypotheses = beam_search(model, bos(), config=BeamConfig(3), max_length=4)[0]
    assert [len(hypothesis.ids) for hypothesis in hypotheses] == [4, 4, 4]


def test_a_model_that_ends_at_once_is_called_once():
    model, calls = FixedLogits([0.0, 0.0, 50.0, 0.0, 0.0, 0.0]), []
    model.register_forward_hook(lambda *call: calls.append(call))
    assert greedy_search(model, bos(2), max_length=4) == [[], []]
    assert sample(model, bos(2), max_length=4) == [[], []]
    assert beam_search(model, bos(), config=BeamConfig(1), max_length=4)[0][0].ids == []
    assert len(calls) == 3


def test_a_max_length_of_zero_gives_empty_texts():
    model = make_lstm(0, vocab_size=6)
    assert greedy_search(model, bos(2), max_length=0) == [[], []]
    assert sample(model, bos(2), max_length=0) == [[], []]
    (hypothesis,) = beam_search(model, bos(), max_length=0)[0]
    assert (hypothesis.ids, hypothesis.score) == ([], 0.0)


@every_decoder
def test_a_batch_without_rows_has_no_results_and_the_model_is_not_called(decode):
    def never_called(ids, state=None):
        raise AssertionError("there is nothing to read")

    assert decode(never_called, torch.empty(0, 1, dtype=torch.int64)) == []


@every_decoder
def test_a_prompt_of_a_wrong_shape_is_refused(decode):
    model = make_lstm(0, vocab_size=6)
    for wrong in (torch.empty(1, 0, dtype=torch.int64), torch.tensor([BOS])):
        with pytest.raises(ValueError, match="prompt"):
            decode(model, wrong)


@every_decoder
def test_a_negative_max_length_is_refused(decode):
    with pytest.raises(ValueError, match="max_length must not be negative, got -1"):
        decode(make_lstm(0, vocab_size=6), bos(), max_length=-1)


@pytest.mark.parametrize("size", [1, 2])
@every_decoder
def test_a_vocabulary_without_eos_is_refused(decode, size):
    with pytest.raises(ValueError, match="no EOS"):
        decode(FixedLogits([0.0] * size), torch.zeros(1, 1, dtype=torch.int64))


def test_the_smallest_vocabulary_that_can_end_gives_empty_texts():
    model = FixedLogits([0.0] * 3)
    for decode in (greedy_search, sample):
        assert decode(model, bos(2)) == [[], []]
    (only,) = beam_search(model, bos(), config=BeamConfig(4))[0]
    assert only.ids == [] and only.log_prob == 0.0
