"""The decoder of section 5.2: its first state is the last one of an LSTM encoder."""

import pytest
import torch

from tests.helpers.tensors import randn
from utils.models.contract import LSTMState, Memory, RecurrentMemory
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.language_models import RNNLM
from utils.models.lstm_decoder import LSTMDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder

V, B, S, D = 11, 3, 4, 6
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


@pytest.fixture
def memory():
    return Memory(randn(B, S, D), torch.ones(B, S, dtype=torch.bool), randn(B, D))


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
        model.encode(IDS)


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
