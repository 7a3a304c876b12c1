"""DPO: a pair worked by hand, its gradient, sums over pairs, and refusals."""

import math

import pytest
import torch

from utils.training.preferences import dpo_loss


def pair(*probabilities):
    return [torch.tensor([p], dtype=torch.float64).log() for p in probabilities]


def loss_of(preferred, rejected, reference_preferred, reference_rejected, *, beta):
    return dpo_loss(
        preferred,
        rejected,
        reference_preferred=reference_preferred,
        reference_rejected=reference_rejected,
        beta=beta,
    )


def test_a_pair_worked_by_hand():
    """Ratios 1.5 and 0.5: the margin is log 3, and σ(log 3) = 3/4."""
    assert loss_of(*pair(0.3, 0.1, 0.2, 0.2), beta=1.0).item() == pytest.approx(-math.log(0.75))
    half = -math.log(1 / (1 + 3**-0.5))
    assert loss_of(*pair(0.3, 0.1, 0.2, 0.2), beta=0.5).item() == pytest.approx(half)
    assert loss_of(*pair(0.4, 0.2, 0.4, 0.2), beta=7.0).item() == pytest.approx(math.log(2))


def test_the_gradient_raises_the_preferred_answer_by_the_chance_of_a_wrong_order():
    values = [x.requires_grad_() for x in pair(0.3, 0.1, 0.2, 0.2)]
    loss_of(*values, beta=1.0).backward()
    assert [x.grad.item() for x in values] == pytest.approx([-0.25, 0.25, 0.25, -0.25])


def test_pairs_add_up():
    values = torch.randn(4, 6, dtype=torch.float64)
    halves = [loss_of(*values[:, half], beta=0.3) for half in (slice(0, 2), slice(2, 6))]
    assert torch.allclose(sum(halves), loss_of(*values, beta=0.3))


def test_what_is_no_pair_is_refused():
    one, two = torch.zeros(1), torch.zeros(2)
    with pytest.raises(ValueError, match="one for each pair"):
        loss_of(one, two, one, one, beta=1.0)
    with pytest.raises(ValueError, match="one for each pair"):
        loss_of(*[torch.zeros(2, 3)] * 4, beta=1.0)
    with pytest.raises(ValueError, match="beta"):
        loss_of(one, one, one, one, beta=0.0)


def test_log_probabilities_of_integers_are_refused():
    """Of uint8, the differences wrap around."""
    values = [torch.tensor([1], dtype=torch.uint8)] * 4
    with pytest.raises(ValueError, match=r"must be floating-point numbers, got torch\.uint8"):
        loss_of(*values, beta=1.0)
