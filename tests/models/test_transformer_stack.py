"""What encoder and decoder of a Transformer share: last norm, first weights, learned positions."""

import pytest
import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.models.transformer_stack import TransformerStack

V, D, H = 11, 12, 4
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]])
IDS = torch.tensor([[1, 5, 6, 4], [1, 9, 9, 3], [1, 3, 10, 8]])


def test_post_norm_ends_in_its_own_norm_and_pre_norm_in_one_more():
    post_norm = TransformerEncoder(V, width=D, num_layers=1, num_heads=H, norm_first=False)
    assert isinstance(post_norm.norm, nn.Identity)
    states = TransformerEncoder(V, width=D, num_layers=1, num_heads=H)(SOURCE).states
    torch.testing.assert_close(states.mean(-1), torch.zeros(3, 4), atol=1e-6, rtol=0)


def test_linear_maps_of_the_layers_start_by_their_sizes():
    """Glorot and Bengio's uniform distribution: within ±√(6 / (inputs + outputs))."""
    torch.manual_seed(0)
    model = TransformerDecoder(V, width=64, num_layers=1, num_heads=H, bias=True)
    linear_maps = [module for module in model.layers.modules() if isinstance(module, nn.Linear)]
    assert len(linear_maps) == 7
    for linear in linear_maps:
        bound = (6 / sum(linear.weight.shape)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound
        assert (linear.bias == 0).all()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("stack", [TransformerEncoder, TransformerDecoder])
def test_linear_maps_and_all_norms_have_a_bias_on_request_only(stack, bias):
    model = stack(V, width=D, num_layers=1, num_heads=H, norm="layer", bias=bias)
    parts = [*model.layers.modules(), model.norm]
    for part in parts:
        if isinstance(part, nn.Linear | nn.LayerNorm):
            assert (part.bias is not None) is bias
    assert sum(isinstance(part, nn.LayerNorm) for part in parts) > 2, "the last norm, too"


def test_a_text_beyond_learned_positions_is_refused():
    options = {"width": D, "num_layers": 1, "num_heads": H, "positional_encoding": "learned"}
    decoder = TransformerDecoder(V, **options, max_positions=2)
    model = EncoderDecoder(RNNEncoder(V, width=D), decoder)
    _, state = model(IDS[:, :2], model.begin(SOURCE))
    with pytest.raises(ValueError, match="4 tokens long"):
        model(IDS, model.begin(SOURCE))
    with pytest.raises(ValueError, match="3 tokens long"):
        model(IDS[:, 2:3], state)
    with pytest.raises(ValueError, match="4 tokens long"):
        TransformerEncoder(V, **options, max_positions=3)(SOURCE)


@pytest.mark.parametrize("stack", [TransformerEncoder, TransformerDecoder])
def test_mistakes_are_named(stack):
    assert issubclass(stack, TransformerStack) and hasattr(stack(V), "output") == stack.is_decoder
    for options, message in (
        ({"num_heads": 5}, "5 heads do not divide a width of 12"),
        ({"positional_encoding": "circular"}, "choose from learned, rotary, sinusoidal"),
        ({"norm": "batch"}, "choose from layer, rms"),
        ({"activation": "swish"}, "choose from gelu"),
        ({"feedforward_size": 0}, "^feedforward_size must be a positive integer, got 0"),
        ({"max_positions": 0}, "^max_positions must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            stack(V, **{"width": D, "num_heads": H} | options)
