"""The encoder that is reduced to its vector, which becomes the only state of its memory."""

import torch

from tests.helpers.tensors import same
from tests.helpers.tiny_models import ENCODERS, SOURCE
from utils.models.fixed_vector_encoder import FixedVectorEncoder


def test_a_fixed_vector_encoder_has_its_encoders_vector_as_only_state():
    torch.manual_seed(0)
    encoder = ENCODERS["gru"](6).double().eval()
    fixed = FixedVectorEncoder(encoder)
    memory, vector = fixed(SOURCE), encoder(SOURCE).vector
    assert same(memory.vector, vector) and same(memory.states, vector[:, None])
    assert memory.is_token.all() and fixed.embedding is encoder.embedding
