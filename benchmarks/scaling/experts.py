"""A feed-forward layer of several experts, of which each token uses one.

Derived in section 2.2; Fedus et al. 2022 ("Switch Transformers").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import Batch
from utils.models.gpt import GPT, WEIGHT_STD
from utils.models.transformer_layer import TransformerLayer
from utils.training.objectives import token_nll

BALANCE_WEIGHT = 0.01  # of the loss that keeps the experts equally busy


class Experts(nn.Module):
    """Several feed-forward networks of 4·D units, of which a router chooses one for each token.

    Source: ``eq-experts`` and ``eq-balance`` (section 2.2); Fedus et al. 2022, eqs. 1, 2 and 4.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_experts
        The number of networks.
    """

    def __init__(self, width: int, *, num_experts: int) -> None:
        super().__init__()
        self.router = nn.Parameter(torch.randn(num_experts, width) * WEIGHT_STD)
        ups = [nn.Linear(width, 4 * width, bias=False) for _ in range(num_experts)]
        downs = [nn.Linear(4 * width, width, bias=False) for _ in range(num_experts)]
        for up, down in zip(ups, downs, strict=True):
            nn.init.normal_(up.weight, std=WEIGHT_STD)
            nn.init.zeros_(down.weight)
        self.up, self.down = nn.ModuleList(ups), nn.ModuleList(downs)
        self.imbalance = torch.zeros(())  # of the last batch; 1 if all experts are equally busy
        self.shares = torch.zeros(num_experts)  # of the tokens of the last batch, by expert

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Send each vector of `x` (B, T, D) through its expert; the result is (B, T, D)."""
        tokens = x.flatten(0, -2)  # (N, D)
        probs = F.linear(tokens, self.router).softmax(-1)  # (N, experts)
        gate, chosen = probs.max(-1)  # (N,)
        out = torch.zeros_like(tokens)
        for expert, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            rows = (chosen == expert).nonzero()[:, 0]  # the tokens of this expert
            update = down(F.relu(up(tokens[rows])) ** 2)
            out = out.index_add(0, rows, gate[rows, None] * update)
        self.shares = F.one_hot(chosen, probs.shape[1]).to(probs.dtype).mean(0)  # (experts,)
        self.imbalance = probs.shape[1] * (self.shares * probs.mean(0)).sum()
        return out.view_as(x)


class ExpertLayer(TransformerLayer):
    """A layer of the book's GPT with experts in the place of its feed-forward network.

    Parameters
    ----------
    width, num_heads, window
        As in `TransformerLayer`.
    num_experts
        As in `Experts`.
    """

    def __init__(self, width: int, *, num_heads: int, window: int, num_experts: int) -> None:
        super().__init__(
            width,
            num_heads=num_heads,
            norm="rms",
            activation="squared_relu",
            window=window,
            qk_norm=True,
        )
        nn.init.zeros_(self.attention.output_projection.weight)
        del self.up_projection, self.down_projection
        self.experts = Experts(width, num_experts=num_experts)

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result (B, T, D) of the experts for `x` (B, T, D)."""
        output: torch.Tensor = self.experts(x)
        return output


def with_experts(model: GPT, *, num_experts: int) -> GPT:
    """Replace the layers of a GPT of default options by layers of experts.

    Parameters
    ----------
    model
        The model, whose other parameters stay.
    num_experts
        As in `Experts`.

    Returns
    -------
    model : GPT
        The same model.
    """
    model.layers = nn.ModuleList(
        ExpertLayer(
            model.embedding.embedding_dim,
            num_heads=model.num_heads,
            window=model.context_length,
            num_experts=num_experts,
        )
        for _ in model.layers
    )
    return model


@torch.no_grad()
def largest_share(model: GPT, batches: Sequence[Batch]) -> float:
    """Compute the share of the tokens that the busiest expert of a layer gets, mean of layers."""
    layers = [layer for layer in model.modules() if isinstance(layer, Experts)]
    tokens = torch.zeros(len(layers), len(layers[0].up))
    for batch in batches:
        token_nll(model, batch)
        tokens += batch.inputs.numel() * torch.stack([layer.shares for layer in layers])
    return float((tokens.amax(1) / tokens.sum(1)).mean())


def balanced_nll(
    model: GPT, batch: Batch, *, balance_weight: float = BALANCE_WEIGHT
) -> torch.Tensor:
    """Compute the summed loss of a batch, and in training what keeps the experts equally busy."""
    loss = token_nll(model, batch)
    if not model.training:
        return loss
    imbalances = [layer.imbalance for layer in model.modules() if isinstance(layer, Experts)]
    return loss + balance_weight * batch.targets.numel() * torch.stack(imbalances).sum()
