"""Tensors for tests: random ones, random weights, and two comparisons.

`same(a, b, tolerance)` is True where two tensors have one shape and no two of their numbers differ
by more than the tolerance, an absolute one; NaN differs from every number. `close` is the same with
a tolerance that grows with the numbers. Both return a bool, so that a test can also assert that two
tensors differ.
"""

from typing import TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


def randn(*shape, dtype=torch.float64) -> torch.Tensor:
    """Normally distributed numbers, in double precision by default."""
    return torch.randn(*shape, dtype=dtype)


def same(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-12) -> bool:
    """Whether two tensors have one shape and differ by at most `tolerance` (see above)."""
    return a.shape == b.shape and bool(((a.double() - b.double()).abs() <= tolerance).all())


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    """Whether two tensors are the same up to `tolerance` times the largest number of b, or 1."""
    return same(a, b, tolerance * max(1.0, b.detach().abs().max().item()))


def multiply_weights(model: ModelT, factor: float) -> ModelT:
    """Multiply all parameters, so that the outputs of a small random model differ clearly."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def randomize_weights(model: ModelT, std: float = 0.5) -> ModelT:
    """Draw all parameters anew, biases and gains of norms too, so that each of them matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * std)
    return model
