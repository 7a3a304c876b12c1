"""Encoder and decoder in one model: shared embeddings, and the LSTM translator of section 5.2."""

import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import IDS, SOURCE, V, make
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq, share_embeddings
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.recurrent_decoders import LSTMDecoder, RNNDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder

D = 6


def test_shared_embeddings_are_one_matrix():
    model = EncoderDecoder(RNNEncoder(V, width=D), AttentionDecoder(V, width=D))
    separate = count_parameters(model)
    assert share_embeddings(model) is model
    assert count_parameters(model) == separate - V * D
    assert model.encoder.embedding.weight is model.decoder.output.weight
    fixed = FixedVectorEncoder(RNNEncoder(V, width=D))
    fixed_model = share_embeddings(EncoderDecoder(fixed, RNNDecoder(V, width=D)))
    assert fixed.encoder.embedding is fixed_model.decoder.embedding


def test_embeddings_of_different_shapes_are_not_shared():
    for encoder in (RNNEncoder(V + 1, width=D), RNNEncoder(V, width=D, embedding_size=4)):
        with pytest.raises(ValueError, match="the same vocabulary and width"):
            share_embeddings(EncoderDecoder(encoder, RNNDecoder(V, width=D)))


def test_a_part_without_an_embedding_has_none_to_share():
    encoder, decoder = RNNEncoder(V, width=D), RNNDecoder(V, width=D)
    encoder.embedding = torch.nn.Linear(V, D)
    for part in (encoder, FixedVectorEncoder(encoder)):
        with pytest.raises(ValueError, match="RNNEncoder has no embedding to share"):
            share_embeddings(EncoderDecoder(part, decoder))
    del decoder.embedding
    with pytest.raises(ValueError, match="RNNDecoder has no embedding to share"):
        share_embeddings(EncoderDecoder(RNNEncoder(V, width=D), decoder))


def test_a_call_without_a_source_is_refused():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'state'"):
        make("lstm")(IDS)


def test_the_lstm_translator_decodes_from_the_encoders_final_state():
    model = make("lstm")
    assert type(model.encoder) is LSTMEncoder and type(model.decoder) is LSTMDecoder
    h, c = model.encoder(SOURCE).final_state
    assert same(model(IDS, model.begin(SOURCE))[0], model.decoder(IDS, (h, c))[0])


def test_the_parameters_of_the_lstm_translator():
    lstm = 2 * 4 * (D * D + D * D + D + D)  # two layers of four gates
    shared = lstm_seq2seq(V, width=D, num_layers=2)
    separate = lstm_seq2seq(V, width=D, num_layers=2, share_embedding=False)
    assert count_parameters(shared) == V * D + 2 * lstm + V
    assert count_parameters(separate) == 2 * V * D + 2 * lstm + V


def test_dropout_acts_in_training_only_in_encoder_and_decoder():
    torch.manual_seed(0)
    model = lstm_seq2seq(V, width=D, num_layers=1, dropout=0.5)
    assert not torch.equal(model.begin(SOURCE)[0], model.begin(SOURCE)[0])
    model.eval()
    state = model.begin(SOURCE)
    assert torch.equal(state[0], model.begin(SOURCE)[0])
    model.train()
    assert not torch.equal(model(IDS, state)[0], model(IDS, state)[0])
