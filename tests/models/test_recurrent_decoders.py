"""The recurrent decoders without attention: where one begins, and where one uses the vector.

What all decoders have in common is tested in test_all_decoders.py.
"""

import pytest
import torch

from tests.helpers.tensors import randn, same
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.language_models import RNNLM
from utils.models.recurrent_decoders import LSTMDecoder, RNNDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.states import LSTMState, Memory, RecurrentMemory

V, B, S, D = 11, 3, 4, 6
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def memory():
    return Memory(randn(B, S, D), torch.ones(B, S, dtype=torch.bool), randn(B, D))


@pytest.mark.parametrize("vector_input", ["start", "every", "both"])
def test_an_rnn_decoder_uses_the_vector_at_the_start_in_every_step_or_both(vector_input, memory):
    decoder = RNNDecoder(V, width=D, num_layers=2, vector_input=vector_input).double().eval()
    state = decoder.begin(memory)
    assert state.vector is memory.vector
    assert state.rnn_state.shape == (B, 2, D) and state.rnn_state.any() == (vector_input != "every")
    words = decoder.embedding.weight[IDS] * D**0.5  # (B, T, D)
    if vector_input != "start":
        words = torch.cat([words, memory.vector[:, None].expand(-1, 3, -1)], -1)
    hidden = torch.zeros(B, 2, D).double()
    if vector_input != "every":
        hidden = decoder.initial_state.projection(memory.vector).tanh().view(B, 2, D)
    x, h = decoder.rnn(words, hidden.transpose(0, 1).contiguous())
    logits, state = decoder(IDS, state)
    assert same(logits, x @ decoder.embedding.weight.T + decoder.output.bias)
    assert same(state.rnn_state, h.transpose(0, 1)) and state.vector is memory.vector


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="vector_input is 'never'; choose from start, every, both"):
        RNNDecoder(V, width=D, vector_input="never")
    with pytest.raises(ValueError, match="choose from rnn, gru, lstm"):
        RNNDecoder(V, width=D, cell="elman")


def test_an_lstm_decoder_begins_with_the_final_state_of_an_lstm_encoder():
    encoder, decoder = LSTMEncoder(V, width=D), LSTMDecoder(V, width=D)
    memory = encoder(IDS)
    assert type(memory) is RecurrentMemory
    assert decoder.begin(memory) is memory.final_state


def test_an_lstm_decoder_refuses_the_memory_of_another_encoder(memory):
    message = "starts from the final state of an LSTMEncoder; this encoder's Memory has none"
    with pytest.raises(ValueError, match=message):
        LSTMDecoder(V, width=D).begin(memory)
    model = EncoderDecoder(RNNEncoder(V, width=D), LSTMDecoder(V, width=D))
    with pytest.raises(ValueError, match=message):
        model.begin(IDS)


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"width": 2 * D}, f"length {D}, but the encoder's vector have length {2 * D}"),
        ({"num_layers": 3}, "final state has 3 layers, but the decoder has 2"),
    ],
)
def test_an_lstm_decoder_refuses_an_encoder_of_another_size(sizes, message):
    encoder = LSTMEncoder(V, **{"width": D, "num_layers": 2} | sizes)
    with pytest.raises(ValueError, match=message):
        LSTMDecoder(V, width=D, num_layers=2).begin(encoder(IDS))


@pytest.mark.parametrize("options", [{}, {"embedding_size": 4, "num_layers": 1}])
def test_an_lstm_decoder_is_a_tied_language_model_of_lstm_cells(options):
    torch.manual_seed(1)
    decoder = LSTMDecoder(V, width=D, **options)
    torch.manual_seed(1)
    model = RNNLM(V, width=D, cell="lstm", tied=True, **{"num_layers": 2} | options)
    assert decoder.state_dict().keys() == model.state_dict().keys()
    pairs = zip(decoder.parameters(), model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    num_layers = options.get("num_layers", 2)
    state = LSTMState(torch.randn(B, num_layers, D), torch.randn(B, num_layers, D))
    logits, after = decoder(IDS, state)
    expected, expected_after = model(IDS, state)
    assert torch.equal(logits, expected) and type(after) is LSTMState
    assert all(torch.equal(a, b) for a, b in zip(after, expected_after, strict=True))
