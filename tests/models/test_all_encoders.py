"""Encoders of all kinds: what their memory holds, padding, and sources that are refused."""

import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import ENCODERS, SOURCE, V
from utils.data.vocabulary import PAD
from utils.models.convolutional import CNNEncoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.states import RecurrentMemory

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
    assert isinstance(memory, RecurrentMemory) == (name == "handover")


@pytest.mark.parametrize("name", ENCODERS)
def test_a_row_of_a_batch_is_encoded_as_it_is_alone(name):
    encoder = make_encoder(name)
    memory = encoder(SOURCE)
    for i, length in enumerate(LENGTHS):
        expected = encoder(SOURCE[i : i + 1, :length])
        assert same(memory.vector[i], expected.vector[0])
        num_states = expected.states.shape[1]
        assert same(memory.states[i, :num_states], expected.states[0])


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_gets_no_gradient_and_tokens_do(name):
    encoder, outputs = make_encoder(name), []

    def keep_gradient(module, inputs, output):
        output.requires_grad_().retain_grad()
        outputs.append(output)

    encoder.embedding.register_forward_hook(keep_gradient)
    memory = encoder(SOURCE)
    results = [memory.states[memory.is_token], memory.vector, *getattr(memory, "final_state", ())]
    sum(result.sin().sum() for result in results).backward()
    size = outputs[0].grad.abs().sum(-1)  # (B, S)
    assert (size[SOURCE == PAD] == 0).all() and (size[SOURCE != PAD] > 0).all()


def test_dropout_acts_in_training_only():
    for encoder in (
        LSTMEncoder(V, width=D, num_layers=1, dropout=0.5),
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
