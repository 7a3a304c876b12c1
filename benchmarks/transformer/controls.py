"""Two controls for texts longer than in training: near distances only, or few keys only.

A longer text brings distances that training never had, and more keys for each query. Each control
takes one of the two away from trained weights with rotary positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from benchmarks.transformer.networks import CONTEXT_LENGTH, attentions
from utils.models.gpt import GPT
from utils.models.multi_head import SelfAttention
from utils.models.positions import RotaryAngles, rotate

NEAREST = 16  # keys that a query keeps in any case where it has few
CONTROLS = ("near distances", "few keys")


@contextmanager
def control_of(model: GPT, control: str) -> Iterator[None]:
    """Attend to all tokens under a control while the block runs.

    Parameters
    ----------
    model
        A model with rotary positions.
    control
        "near distances": all keys, of which those further away than any in training are seen at
        the largest distance of training. "few keys": as many keys as in training, the nearest ones
        and others at random, at their own distances.
    """
    for attention in attentions(model):
        attention.forward = partial(_attend, attention, control)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for attention in attentions(model):
            del attention.forward


def _attend(
    attention: SelfAttention,
    control: str,
    x: torch.Tensor,
    *,
    rotary: RotaryAngles,
    **_: None,  # there is no cache and no padding
) -> tuple[torch.Tensor, None]:
    """Return what `SelfAttention` returns for `x` (B, T, D) without a window, under a control."""
    qkv = attention.qkv_projection(x).unflatten(-1, (3, attention.num_heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D/H) each
    scale, T = q.shape[-1] ** -0.5, q.shape[2]
    turned = rotate(q, rotary.cos, rotary.sin)
    scores = turned @ rotate(k, rotary.cos, rotary.sin).mT * scale  # (B, H, T, T)
    distance = torch.arange(T)[:, None] - torch.arange(T)
    last = CONTEXT_LENGTH - 1
    if control == "near distances" and last < T:
        cos, sin = (angles[..., last : last + 1, :] for angles in (rotary.cos, rotary.sin))
        scores = torch.where(distance > last, rotate(q, cos, sin) @ k.mT * scale, scores)
    kept = distance >= 0
    if control == "few keys" and last < T:
        kept = few_keys(distance)
    weights = scores.masked_fill(~kept, -torch.inf).softmax(-1)
    return attention.output_projection((weights @ v).transpose(1, 2).flatten(2)), None


def few_keys(distance: torch.Tensor) -> torch.Tensor:
    """Draw at most CONTEXT_LENGTH keys for each query, the nearest NEAREST among them.

    Parameters
    ----------
    distance
        Of each query from each key, (T, T); negative in the future.

    Returns
    -------
    kept : torch.Tensor
        Whether a query attends to a key, (T, T) bool.
    """
    order = torch.rand(distance.shape, generator=torch.Generator().manual_seed(1))
    order += 2.0 * (distance < NEAREST)
    order[distance < 0] = -1
    best = order.argsort(1, descending=True)[:, :CONTEXT_LENGTH]
    return torch.zeros_like(distance, dtype=torch.bool).scatter(1, best, True) & (distance >= 0)
