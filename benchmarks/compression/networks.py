"""The matrices of a GPT's layers: trained alone, or with a correction of low rank."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from utils.models.gpt import GPT

RANK = 8


class LowRank(nn.Module):
    """A frozen linear map with a correction of low rank, which is zero at first.

    Source: ``eq-lora`` (section 8.1); Hu et al. 2022.

    Parameters
    ----------
    base
        The map, which is frozen.
    rank
        The rank of the correction.
    """

    def __init__(self, base: nn.Linear, *, rank: int = RANK) -> None:
        super().__init__()
        num_outputs, num_inputs = base.weight.shape
        self.base = base.requires_grad_(False)
        self.scale = 2.0  # α/r, with α = 2r
        self.A = nn.Parameter(torch.randn(rank, num_inputs) / num_inputs**0.5)
        self.B = nn.Parameter(torch.zeros(num_outputs, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the map and its correction to `x` (…, inputs)."""
        output: torch.Tensor = self.base(x) + self.scale * (x @ self.A.T) @ self.B.T
        return output


def linear_maps(model: GPT) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Yield each linear map of the layers, with the module and the name that it has there."""
    for layer in model.layers:
        for module in (layer, layer.get_submodule("attention")):
            for name, part in module.named_children():
                if isinstance(part, nn.Linear):
                    yield module, name, part


def with_low_rank(model: GPT, *, rank: int = RANK) -> GPT:
    """Return a frozen copy of a model with a correction on each matrix of its layers."""
    adapted = copy.deepcopy(model).requires_grad_(False)
    for module, name, part in list(linear_maps(adapted)):
        setattr(module, name, LowRank(part, rank=rank))
    return adapted


def with_free_matrices(model: GPT) -> GPT:
    """Return a copy of a model of which only the matrices of its layers are trained."""
    adapted = copy.deepcopy(model).requires_grad_(False)
    for _, _, part in linear_maps(adapted):
        part.requires_grad_(True)
    return adapted
