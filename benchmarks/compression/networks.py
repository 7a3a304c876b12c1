"""The matrices of a GPT's layers: rounded, pruned, or with a correction of low rank."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn

from utils.models.gpt import GPT

RANK = 8
GROUP = 32  # weights that share a scale


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


@torch.no_grad()
def changed(model: GPT, change: Callable[[torch.Tensor], torch.Tensor]) -> GPT:
    """Return a copy of a model with `change` applied to each matrix of its layers."""
    copied = copy.deepcopy(model)
    for _, _, part in linear_maps(copied):
        part.weight.copy_(change(part.weight))
    return copied


def rounded(weight: torch.Tensor, *, bits: int = 4, group: int = GROUP) -> torch.Tensor:
    """Round a matrix to whole numbers of few bits, with a scale for each group of weights.

    Source: ``eq-quantize`` (section 8.1).

    Parameters
    ----------
    weight
        The matrix; `group` divides its number of columns.
    bits, group
        Bits of a whole number, and weights that share a scale.

    Returns
    -------
    rounded : torch.Tensor
        The matrix as it is after rounding.
    """
    grouped = weight.reshape(-1, group)
    scales = grouped.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return ((grouped / scales.clamp_min(1e-12)).round() * scales).view_as(weight)


def largest_masks(model: GPT, share: float) -> list[torch.Tensor]:
    """Return a mask for each matrix of the layers that drops the smallest weights of all.

    Source: ``eq-magnitude`` (section 8.1).

    Parameters
    ----------
    model
        The model.
    share
        The share of weights that is dropped.

    Returns
    -------
    masks : list of torch.Tensor
        True where a weight stays.
    """
    weights = [part.weight.detach().abs() for _, _, part in linear_maps(model)]
    in_order = torch.cat([weight.flatten() for weight in weights]).sort().values
    smallest_kept = in_order[round(share * len(in_order))]
    return [weight >= smallest_kept for weight in weights]


@torch.no_grad()
def drop(model: GPT, masks: list[torch.Tensor]) -> None:
    """Set the weights of a model's layers to zero where its masks are False."""
    for (_, _, part), mask in zip(linear_maps(model), masks, strict=True):
        part.weight.mul_(mask)
