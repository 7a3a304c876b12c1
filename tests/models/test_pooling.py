"""The mask of a source, the mean over its tokens, and an encoder reduced to its vector."""

import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import ENCODERS, SOURCE
from utils.models.pooling import FixedVectorEncoder, masked_mean, source_mask


def test_the_mask_of_a_source_is_true_at_tokens():
    assert source_mask(torch.tensor([[5, 6, 0], [3, 0, 0]])).tolist() == [
        [True, True, False],
        [True, False, False],
    ]


def test_the_mean_is_taken_over_tokens():
    x = torch.arange(12.0).view(2, 3, 2)
    is_token = torch.tensor([[True, True, False], [True, True, True]])
    assert masked_mean(x, is_token).tolist() == [[1.0, 2.0], [8.0, 9.0]]


def test_a_fixed_vector_encoder_has_its_encoders_vector_as_only_state():
    torch.manual_seed(0)
    encoder = ENCODERS["gru"](6).double().eval()
    fixed = FixedVectorEncoder(encoder)
    memory, vector = fixed(SOURCE), encoder(SOURCE).vector
    assert same(memory.vector, vector) and same(memory.states, vector[:, None])
    assert memory.is_token.all() and fixed.embedding is encoder.embedding
