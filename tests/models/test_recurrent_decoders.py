"""The recurrent decoder without attention: its first state, and where it uses the vector.

What all decoders have in common is tested in test_decoders.py.
"""

import pytest
import torch

from tests.helpers.tensors import randn, same
from utils.models.contract import LSTMState, Memory
from utils.models.recurrent import CELLS
from utils.models.recurrent_decoders import InitialState, RNNDecoder

V, B, S, D = 11, 3, 4, 6
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def memory():
    return Memory(randn(B, S, D), torch.ones(B, S, dtype=torch.bool), randn(B, D))


@pytest.mark.parametrize("cell", CELLS)
def test_a_first_state_is_the_tanh_of_a_linear_map_of_the_vector(cell):
    make_state, vector = InitialState(D, num_layers=2, cell=cell).double(), randn(B, D)
    state = make_state(vector)
    assert type(state) is (LSTMState if cell == "lstm" else torch.Tensor)
    h, c = state if cell == "lstm" else (state, None)
    assert h.shape == (B, 2, D)
    for layer in range(2):
        rows = slice(layer * D, (layer + 1) * D)
        linear = vector @ make_state.projection.weight[rows].T + make_state.projection.bias[rows]
        assert same(h[:, layer], linear.tanh())
        assert c is None or same(c[:, layer], linear)
    zero_state = InitialState(D, num_layers=2, cell=cell, from_vector=False)(vector)
    h, c = zero_state if cell == "lstm" else (zero_state, zero_state)
    assert h.shape == c.shape == (B, 2, D) and not h.any() and not c.any()


@pytest.mark.parametrize("context", ["start", "every", "both"])
def test_an_rnn_decoder_uses_the_vector_at_the_start_in_every_step_or_both(context, memory):
    decoder = RNNDecoder(V, width=D, num_layers=2, context=context).double().eval()
    state = decoder.begin(memory)
    assert state.vector is memory.vector
    assert state.rnn_state.shape == (B, 2, D) and state.rnn_state.any() == (context != "every")
    words = decoder.embedding.weight[IDS] * D**0.5  # (B, T, D)
    if context != "start":
        words = torch.cat([words, memory.vector[:, None].expand(-1, 3, -1)], -1)
    hidden = torch.zeros(B, 2, D).double()
    if context != "every":
        hidden = decoder.initial_state.projection(memory.vector).tanh().view(B, 2, D)
    x, h = decoder.rnn(words, hidden.transpose(0, 1).contiguous())
    logits, state = decoder(IDS, state)
    assert same(logits, x @ decoder.embedding.weight.T + decoder.output.bias)
    assert same(state.rnn_state, h.transpose(0, 1)) and state.vector is memory.vector


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="context is 'never'; choose from start, every, both"):
        RNNDecoder(V, width=D, context="never")
    for build in (
        lambda: RNNDecoder(V, width=D, cell="elman"),
        lambda: InitialState(D, num_layers=1, cell="elman"),
    ):
        with pytest.raises(ValueError, match="choose from rnn, gru, lstm"):
            build()
