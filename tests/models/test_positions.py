"""Positional encodings: sinusoids from the paper, rotations, and what half precision resolves."""

import math

import pytest
import torch

from tests.helpers.tensors import randn, same
from utils.models.positions import (
    PositionalEncoding,
    position_angles,
    rotate,
    sinusoidal_encoding,
    token_positions,
)

B, T = 3, 5


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_sinusoids_equal_the_papers_formula():
    vectors = sinusoidal_encoding(torch.tensor([[0, 1], [9, 300]]), 6, dtype=torch.float64)
    assert vectors.shape == (2, 2, 6)
    for position, vector in zip([0, 1, 9, 300], vectors.flatten(0, 1), strict=True):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert abs(vector[2 * i] - math.sin(angle)) < 1e-12
            assert abs(vector[2 * i + 1] - math.cos(angle)) < 1e-12


def test_rotated_scores_depend_on_the_distance_alone():
    def score(q, k, q_position, k_position):
        positions = torch.tensor([q_position, k_position])
        angles = position_angles(positions, 8, dtype=torch.float64)
        q, k = rotate(torch.stack([q, k]), angles.cos(), angles.sin())
        return q @ k

    q, k = randn(2, 8)
    assert abs(score(q, k, 0, 0) - q @ k) < 1e-12
    for distance in (-3, 1, 40):
        scores = torch.stack([score(q, k, start + distance, start) for start in (5, 6, 100, 1000)])
        assert (scores - scores[0]).abs().max() < 1e-10
    assert abs(score(q, k, 6, 5) - score(q, k, 7, 5)) > 1e-3
    assert abs(score(q, k, 6, 5) - score(q, k, 5, 6)) > 1e-3


def test_a_rotation_preserves_lengths_and_rotates_pairs_by_their_angle():
    angles = position_angles(torch.arange(T), 6, dtype=torch.float64)
    x = randn(B, T, 6)
    rotated = rotate(x, angles.cos(), angles.sin())
    assert same(rotated.norm(dim=-1), x.norm(dim=-1))
    rotation = torch.polar(torch.ones_like(angles), angles)
    as_complex = torch.complex(x[..., :3], x[..., 3:]) * rotation
    assert same(rotated, torch.cat([as_complex.real, as_complex.imag], -1))


def test_each_kind_encodes_the_given_positions():
    x, positions = randn(2, 3, 8), torch.tensor([[0, 1, 2], [5, 6, 7]])
    make = {
        encoding: PositionalEncoding(encoding, width=8, head_width=4, max_positions=8).double()
        for encoding in ("learned", "rotary", "sinusoidal")
    }
    added, rotary = make["sinusoidal"](x, positions)
    assert same(added, x + sinusoidal_encoding(positions, 8, dtype=x.dtype)) and rotary is None
    added, rotary = make["learned"](x, positions)
    assert same(added, x + make["learned"].table.weight[positions]) and rotary is None
    unchanged, rotary = make["rotary"](x, positions)
    angles = position_angles(positions, 4, dtype=x.dtype)[:, None]  # (B, 1, T, D/2H)
    assert torch.equal(unchanged, x)
    assert same(rotary.cos, angles.cos()) and same(rotary.sin, angles.sin())


def test_positions_count_from_zero():
    assert token_positions(torch.full((3, 4), 9)).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("encoding", ["rotary", "sinusoidal"])
def test_half_precision_distinguishes_distant_positions(encoding):
    x, positions = torch.zeros(1, 2, 8, dtype=torch.bfloat16), torch.tensor([[256, 257]])
    positional_encoding = PositionalEncoding(encoding, width=8, head_width=8, max_positions=4)
    encoded, rotary = positional_encoding(x, positions)
    first, second = (encoded[0] if rotary is None else rotary.cos[0, 0]).unbind(0)
    assert first.dtype == torch.bfloat16 and not torch.equal(first, second)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="must be even, got 3"):
        position_angles(torch.arange(2), 3)
    with pytest.raises(ValueError, match="must be even, got 5"):
        PositionalEncoding("rotary", width=10, head_width=5, max_positions=8)
    with pytest.raises(ValueError, match="must be even, got 11"):
        PositionalEncoding("sinusoidal", width=11, head_width=11, max_positions=8)
    assert PositionalEncoding("learned", width=11, head_width=11, max_positions=8).table is not None
    with pytest.raises(ValueError, match="positional_encoding is 'none'; choose from learned, rot"):
        PositionalEncoding("none", width=12, head_width=4, max_positions=8)
    learned = PositionalEncoding("learned", width=12, head_width=4, max_positions=8)
    assert learned(torch.zeros(1, 1, 12), torch.tensor([[7]]))[0].shape == (1, 1, 12)
    with pytest.raises(ValueError, match=r"9 tokens long, .* only 8 positions are learned.*rotary"):
        learned(torch.zeros(1, 1, 12), torch.tensor([[8]]))
