"""Encoders: what their memory holds, padding, pooling, and sources that are refused."""

import pytest
import torch

from tests.tensors import same
from tests.tiny_models import ENCODERS, SOURCE, V
from utils.data.vocabulary import PAD
from utils.models.encoders import (
    CNNEncoder,
    FixedVectorEncoder,
    LSTMEncoder,
    RNNEncoder,
    masked_mean,
    source_mask,
)
from utils.models.recurrent import CELLS

D = 6
LENGTHS = (4, 3, 2, 4)


def make_encoder(name: str):
    torch.manual_seed(0)
    return ENCODERS[name](D).double().eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_a_memory_has_a_state_for_each_token(name):
    memory = make_encoder(name)(SOURCE)
    S = 1 if name == "fixed" else 4
    assert memory.states.shape == (4, S, D) and memory.vector.shape == (4, D)
    expected = torch.ones(4, 1, dtype=torch.bool) if name == "fixed" else SOURCE != PAD
    assert torch.equal(memory.is_token, expected)
    assert (memory.final_state is not None) == (name == "handover")


@pytest.mark.parametrize("name", ENCODERS)
def test_a_row_of_a_batch_is_encoded_as_it_is_alone(name):
    encoder = make_encoder(name)
    memory = encoder(SOURCE)
    for i, length in enumerate(LENGTHS):
        expected = encoder(SOURCE[i : i + 1, :length])
        assert same(memory.vector[i], expected.vector[0])
        length = expected.states.shape[1]
        assert same(memory.states[i, :length], expected.states[0])


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_gets_no_gradient_and_tokens_do(name):
    encoder, outputs = make_encoder(name), []

    def keep_gradient(module, inputs, output):
        output.requires_grad_().retain_grad()
        outputs.append(output)

    encoder.embedding.register_forward_hook(keep_gradient)
    memory = encoder(SOURCE)
    results = [memory.states[memory.is_token], memory.vector, *(memory.final_state or ())]
    sum(result.sin().sum() for result in results).backward()
    size = outputs[0].grad.abs().sum(-1)  # (B, S)
    assert (size[SOURCE == PAD] == 0).all() and (size[SOURCE != PAD] > 0).all()


def test_an_lstm_encoder_hands_over_the_state_after_the_last_token():
    encoder = make_encoder("handover")
    memory = encoder(SOURCE)
    h, c = memory.final_state
    assert h.shape == c.shape == (4, 2, D)
    for i, length in enumerate(LENGTHS):
        x = encoder.embedding.weight[SOURCE[i, :length]]
        states, (expected_h, expected_c) = encoder.lstm(x[None])
        assert same(h[i], expected_h[:, 0]) and same(c[i], expected_c[:, 0])
        assert same(memory.states[i, :length], states[0])
    assert same(memory.vector, h[:, -1])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_vector_of_an_rnn_encoder_is_where_each_direction_ends(cell, bidirectional):
    torch.manual_seed(0)
    encoder = RNNEncoder(V, width=D, layers=2, cell=cell, bidirectional=bidirectional).double()
    memory = encoder(SOURCE)
    half = D // 2 if bidirectional else D
    for i, length in enumerate(LENGTHS):
        assert same(memory.vector[i, :half], memory.states[i, length - 1, :half])
        if bidirectional:
            assert same(memory.vector[i, half:], memory.states[i, 0, half:])


@pytest.mark.parametrize(
    "pooling, pool", [("mean", lambda x: x.mean(0)), ("max", lambda x: x.amax(0))]
)
def test_pooling_is_a_mean_or_a_maximum_over_tokens(pooling, pool):
    torch.manual_seed(0)
    memory = CNNEncoder(V, width=D, pooling=pooling).double().eval()(SOURCE)
    for i, length in enumerate(LENGTHS):
        torch.testing.assert_close(memory.vector[i], pool(memory.states[i, :length]))
    assert (memory.states[SOURCE == PAD] == 0).all()


def test_the_mean_is_taken_over_tokens():
    x = torch.arange(12.0).view(2, 3, 2)
    is_token = torch.tensor([[True, True, False], [True, True, True]])
    assert masked_mean(x, is_token).tolist() == [[1.0, 2.0], [8.0, 9.0]]


def test_a_fixed_vector_encoder_has_its_encoders_vector_as_only_state():
    encoder = make_encoder("gru")
    fixed = FixedVectorEncoder(encoder)
    memory, vector = fixed(SOURCE), encoder(SOURCE).vector
    assert same(memory.vector, vector) and same(memory.states, vector[:, None])
    assert memory.is_token.all() and fixed.embedding is encoder.embedding


def test_dropout_acts_in_training_only():
    for encoder in (
        LSTMEncoder(V, width=D, layers=1, dropout=0.5),
        RNNEncoder(V, width=D, dropout=0.5),
        CNNEncoder(V, width=D, dropout=0.5),
    ):
        assert not torch.equal(encoder(SOURCE).vector, encoder(SOURCE).vector)
        encoder.eval()
        assert torch.equal(encoder(SOURCE).vector, encoder(SOURCE).vector)


@pytest.mark.parametrize("name", ENCODERS)
def test_sources_without_tokens_or_with_padding_before_one_are_refused(name):
    encoder = make_encoder(name)
    for source in ([[], []], [[0, 0, 0], [0, 0, 0]], [[4], [0]]):
        with pytest.raises(ValueError, match="no tokens"):
            encoder(torch.tensor(source, dtype=torch.long))
    for source in ([[0, 5, 6], [5, 6, 7]], [[5, 0, 6]]):
        with pytest.raises(ValueError, match="pad at the end"):
            encoder(torch.tensor(source))


def test_the_mask_of_a_source_is_true_at_tokens():
    assert source_mask(torch.tensor([[5, 6, 0], [3, 0, 0]])).tolist() == [
        [True, True, False],
        [True, False, False],
    ]


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: RNNEncoder(V, width=D, cell="elman"), "choose from rnn, gru, lstm"),
        (lambda: RNNEncoder(V, width=5), "must be even, got 5"),
        (lambda: CNNEncoder(V, width=D, pooling="median"), "choose from mean, max"),
        (lambda: CNNEncoder(V, width=D, kernel_size=4), "kernel_size must be odd"),
    ],
)
def test_mistakes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
