"""Recurrent encoders: the state that is handed over, and where each direction ends.

What all encoders have in common is tested in test_all_encoders.py.
"""

import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import ENCODERS, SOURCE, V
from utils.models.recurrent import CELLS
from utils.models.recurrent_encoders import RNNEncoder

D = 6
LENGTHS = (4, 3, 2, 4)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_an_lstm_encoder_hands_over_the_state_after_the_last_token():
    encoder = ENCODERS["handover"](D).double().eval()
    memory = encoder(SOURCE)
    h, c = memory.final_state
    assert h.shape == c.shape == (4, 2, D)
    for i, length in enumerate(LENGTHS):
        x = encoder.embedding.weight[SOURCE[i, :length]]
        states, (expected_h, expected_c) = encoder.rnn(x[None])
        assert same(h[i], expected_h[:, 0]) and same(c[i], expected_c[:, 0])
        assert same(memory.states[i, :length], states[0])
    assert same(memory.vector, h[:, -1])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_vector_of_an_rnn_encoder_is_where_each_direction_ends(cell, bidirectional):
    encoder = RNNEncoder(V, width=D, num_layers=2, cell=cell, bidirectional=bidirectional).double()
    memory = encoder(SOURCE)
    half = D // 2 if bidirectional else D
    for i, length in enumerate(LENGTHS):
        assert same(memory.vector[i, :half], memory.states[i, length - 1, :half])
        if bidirectional:
            assert same(memory.vector[i, half:], memory.states[i, 0, half:])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": D, "cell": "elman"}, "choose from rnn, gru, lstm"),
        ({"width": 5}, "must be even, got 5"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        RNNEncoder(V, **options)
