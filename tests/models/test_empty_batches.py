"""Batches without rows and calls without tokens: every model returns what there is, nothing."""

import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import (
    ENCODER_DECODERS,
    ENCODERS,
    IDS,
    MODELS,
    SOURCE,
    V,
    initial_state,
    make,
    state_tensors,
    state_types,
)
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.encoder_decoder import EncoderDecoder

every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_a_batch_without_rows_gives_no_logits(name):
    model = make(name)
    state = model.begin(SOURCE[:0]) if isinstance(model, EncoderDecoder) else None
    for ids in (IDS[:0], IDS[:0, :1]):
        logits, state = model(ids, state)
        assert logits.shape == (*ids.shape, V) and logits.dtype == torch.float64
        assert all(len(tensor) == 0 for tensor in state_tensors(state))


@every_model
def test_a_call_without_tokens_leaves_the_state_as_it_was(name):
    model = make(name)
    before = initial_state(model)
    for ids in (IDS, IDS[:, 2:]):
        logits, after = model(ids[:, :0], before)
        assert logits.shape == (4, 0, V) and logits.dtype == torch.float64
        if before is not None and name != "LM: nnlm, one word":
            pairs = zip(state_tensors(after), state_tensors(before), strict=False)
            assert all(same(a, b) for a, b in pairs)
        expected, expected_state = model(ids, before)
        logits, state = model(ids, after)
        assert same(logits, expected) and state_types(state) == state_types(expected_state)
        before = state


@every_model
def test_neither_rows_nor_tokens(name):
    model = make(name)
    logits, _ = model(IDS[:0, :0], initial_state(model, slice(0, 0)))
    assert logits.shape == (0, 0, V)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_refuses_a_source_without_tokens_and_takes_a_batch_without_sources(name):
    encoder = ENCODERS[name](6)
    memory = encoder(SOURCE[:0])
    assert memory.vector.shape == (0, 6) and memory.is_token.shape[0] == 0
    with pytest.raises(ValueError, match="a source sentence has no tokens"):
        encoder(SOURCE[:, :0])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_an_encoder_decoder_refuses_a_source_without_tokens(name):
    with pytest.raises(ValueError, match="a source sentence has no tokens"):
        make(name).begin(SOURCE[:, :0])


def test_a_classifier_of_no_texts_gives_no_logits():
    model = Classifier(WordCNNEncoder(V, embedding_size=4, num_filters=2), input_size=6)
    assert model(SOURCE[:0]).shape == (0, 2)
