"""Encoder and decoder of a Transformer: equal to torch's stacks; the vector of the encoder."""

import pytest
import torch
from torch import nn

from tests.helpers.tensors import close, randomize_weights, same
from tests.helpers.torch_layers import copy_weights
from utils.data.vocabulary import PAD
from utils.models.masks import causal_mask, masked_mean
from utils.models.positions import sinusoidal_encoding
from utils.models.transformer import TransformerDecoder, TransformerEncoder

V, D, H = 11, 12, 4
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]])
IDS = torch.tensor([[1, 5, 6, 4], [1, 9, 9, 3], [1, 3, 10, 8]])


def torch_stacks(norm_first: bool) -> tuple[nn.TransformerEncoder, nn.TransformerDecoder]:
    """torch's encoder and decoder of two layers; pre-norm stacks end in one more norm."""
    shape = (D, H, 20, 0.0, "gelu", 1e-5, True, norm_first)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(*shape),
        2,
        nn.LayerNorm(D) if norm_first else None,
        enable_nested_tensor=False,
    )
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(*shape), 2, nn.LayerNorm(D) if norm_first else None
    )
    return randomize_weights(encoder).double().eval(), randomize_weights(decoder).double().eval()


def word_vectors(model: TransformerEncoder | TransformerDecoder, ids: torch.Tensor) -> torch.Tensor:
    """Embeddings times √D plus sinusoids, (B, T, D)."""
    positions = torch.arange(ids.shape[1])
    return model.embedding.weight[ids] * D**0.5 + sinusoidal_encoding(
        positions, D, dtype=torch.float64
    )


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_and_decoder_equal_torchs_stacks(norm_first):
    """All layers and the norm after the last, from word vectors with positions to the output."""
    torch.manual_seed(0)
    options = {"width": D, "num_layers": 2, "num_heads": H, "feedforward_size": 20, "bias": True}
    encoder = TransformerEncoder(V, **options, norm_first=norm_first).double().eval()
    decoder = TransformerDecoder(V, **options, norm_first=norm_first).double().eval()
    torch_encoder, torch_decoder = torch_stacks(norm_first)
    copy_weights(encoder, torch_encoder)
    copy_weights(decoder, torch_decoder)
    padding, future = SOURCE == PAD, ~causal_mask(4)
    torch_states = torch_encoder(word_vectors(encoder, SOURCE), src_key_padding_mask=padding)
    x = torch_decoder(
        word_vectors(decoder, IDS), torch_states, future, memory_key_padding_mask=padding
    )
    memory = encoder(SOURCE)
    assert torch.equal(memory.is_token, ~padding)
    assert same(memory.states[~padding], torch_states[~padding], 1e-10)
    expected = x @ decoder.embedding.weight.T + decoder.output.bias
    assert close(decoder(IDS, decoder.begin(memory))[0], expected, 1e-9)


def test_the_vector_of_the_encoder_is_the_mean_of_its_states():
    torch.manual_seed(0)
    memory = TransformerEncoder(V, width=D, num_layers=1, num_heads=H).double()(SOURCE)
    assert same(memory.vector, masked_mean(memory.states, SOURCE != PAD))
    assert same(memory.vector[2], memory.states[2, :2].mean(0))
