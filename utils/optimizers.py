"""Optimizers for ``utils.training.fit``: each a function of the model and its TrainConfig.

AdamW: Loshchilov and Hutter 2019. Muon: Jordan et al. 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from utils.training import TrainConfig

Weights = list[nn.Parameter]


def adamw(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: biases and gains are not pulled to zero."""
    weights = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        _by_decay(weights, config.weight_decay), lr=config.learning_rate, betas=config.betas
    )


def muon(model: nn.Module, config: TrainConfig, ratio: float = 2.0) -> Muon:
    """Muon for the matrices inside the model, AdamW for embeddings, output, biases and gains.

    Muon's learning rate is `ratio` times the AdamW's, which is `config.learning_rate`.
    """
    outside = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    outside |= {id(p) for name, p in model.named_parameters() if name.endswith("output.weight")}
    inside = [
        m.weight
        for m in model.modules()
        if isinstance(m, nn.Linear) and m.weight.requires_grad and id(m.weight) not in outside
    ]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = _by_decay(rest, config.weight_decay)
    for shape in sorted({p.shape for p in inside}):
        same = [p for p in inside if p.shape == shape]
        groups.append(
            {"params": same, "weight_decay": config.weight_decay, "scale": ratio, "muon": 0.95}
        )
    on_cpu = all(p.device.type == "cpu" for p in model.parameters())
    return Muon(groups, lr=config.learning_rate, betas=config.betas, fused=on_cpu or None)


class Muon(torch.optim.AdamW):
    """AdamW, but in groups with a "muon" momentum each step is made orthogonal.

    Such a group holds matrices of one shape, turned all at once. All singular values of a step are
    near 1, so that rare directions are learned as fast as common ones.
    """

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if "muon" in group:
                self._orthogonal_step([p for p in group["params"] if p.grad is not None], group)
        return super().step(closure)

    def _orthogonal_step(self, weights: Weights, group: dict) -> None:
        if not weights:
            return
        momentum = group["muon"]
        ahead = []
        for p in weights:
            state = self.state[p]
            if not state:  # AdamW looks for "step" when it loads a state
                state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(p))
            mean = state["momentum"].lerp_(p.grad, 1 - momentum)
            ahead.append(p.grad.lerp(mean, momentum))  # Nesterov's look ahead
            p.grad = None  # AdamW passes over what has no gradient
        steps = orthogonal(torch.stack(ahead))  # (number of matrices, rows, columns)
        rows, columns = weights[0].shape
        rate = group["lr"] * max(1, rows / columns) ** 0.5
        for p, step in zip(weights, steps, strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=rate)


POLYNOMIALS = (  # a σ + b σ³ + c σ⁵, each the best on what the one before leaves of [0.01, 1]
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)


def orthogonal(x: torch.Tensor) -> torch.Tensor:
    """Each matrix of x (…, rows, columns) with its singular values σ moved near 1.

    U Σ Vᵀ → about U Vᵀ by Newton and Schulz's iteration (``eq-generation-muon``): x is divided by
    its norm, then odd polynomials act on Σ alone. These three, the best in the sense of Amsel et
    al. 2025, take all of [0.01, 1] to between 0.73 and 1.27.
    """
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    square = x @ x.mT  # (…, n, n) with n the smaller side: cheaper to iterate on than x
    one, factor = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device), None
    for a, b, c in POLYNOMIALS:
        change = a * one + b * square + c * square @ square
        square = change @ square @ change
        factor = change if factor is None else change @ factor
    x = factor @ x
    return x.mT if tall else x


def _by_decay(weights: Weights, decay: float) -> list[dict]:
    """Two groups at most: matrices with weight decay, biases and gains without."""
    groups = [
        {"params": [p for p in weights if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
