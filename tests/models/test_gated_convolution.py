"""The gated convolution: its formula, and how far it reaches."""

import pytest
import torch

from tests.helpers.tensors import randn
from utils.models.gated_convolution import GatedConvolution

D = 6


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_gated_convolution_equals_its_formula():
    layer = GatedConvolution(D, kernel_size=3, causal=True)
    x, previous = torch.randn(1, 4, D), torch.randn(1, 2, D)
    result = layer(x, previous)
    weight, bias = layer.convolution.weight, layer.convolution.bias  # (2·D, D, 3), (2·D)
    inputs = torch.cat([previous, x], 1)[0]
    for t in range(4):
        a, b = (bias + sum(weight[:, :, k] @ inputs[t + k] for k in range(3))).chunk(2)
        torch.testing.assert_close(result[0, t], a * b.sigmoid())


def test_a_convolution_that_is_not_causal_reaches_equally_far_in_both_directions():
    layer = GatedConvolution(D, kernel_size=5).double()
    x = randn(1, 9, D)
    other = x.clone()
    other[:, 4] += 1
    change = (layer(x) - layer(other)).abs().amax(-1)[0]  # (9,)
    assert (change[2:7] > 1e-6).all() and (change[:2] == 0).all() and (change[7:] == 0).all()


def test_even_kernels_are_for_causal_convolutions():
    assert GatedConvolution(4, kernel_size=2, causal=True).kernel_size == 2
