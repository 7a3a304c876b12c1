"""What is measured of a network beside its loss: how far its gradient reaches, and single units."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import Batch
from utils.states import LSTMState


def gradient_by_distance(model: Any, batch: Batch) -> list[float]:
    """Measure how much the loss at the last position depends on each input.

    Parameters
    ----------
    model
        A language model with the layer ``embedding``.
    batch
        Windows (B, T).

    Returns
    -------
    shares : list of float
        Of the norm of the gradient with respect to the input d steps before the last, d = 0 …
        T − 1, divided by the sum over d, the mean over windows.
    """
    vectors: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        vectors.append(output.detach().requires_grad_())
        return vectors[0]

    model.eval()
    handle = model.embedding.register_forward_hook(keep)
    try:
        logits, _ = model(batch.inputs)  # (B, T, V)
    finally:
        handle.remove()
    loss = F.cross_entropy(logits[:, -1], batch.targets[:, -1], reduction="sum")
    (gradient,) = torch.autograd.grad(loss, vectors[0])
    by_distance = gradient.double().norm(dim=-1).flip(1)
    norms = by_distance[:, : batch.inputs.shape[1]]  # (B, T), without the padding of a window
    shares = norms / norms.sum(dim=1, keepdim=True).clamp(min=1e-300)
    return [float(share) for share in shares.mean(dim=0)]


def line_lengths(text: str) -> np.ndarray:
    """Count for each character of a text the characters since its line began, itself included."""
    counts = []
    since = 0
    for character in text:
        since = 0 if character == "\n" else since + 1
        counts.append(since)
    return np.array(counts, dtype=np.float64)


def best_unit_correlation(
    model: Any, first: torch.Tensor, second: torch.Tensor, *, decode: Any
) -> float:
    """Measure how well the best single unit follows the position in the line.

    Parameters
    ----------
    model
        A recurrent language model.
    first, second
        The text on which the unit is chosen, and another on which it is measured, (N,).
    decode
        Turns ids into the text.

    Returns
    -------
    correlation : float
        The absolute correlation of the unit with the characters since the line began.
    """
    chosen, measured = (
        _correlations(unit_values(model, ids), line_lengths(decode(ids))) for ids in (first, second)
    )
    return float(measured[chosen.argmax()])


@torch.no_grad()
def unit_values(model: Any, ids: torch.Tensor) -> np.ndarray:
    """Return all units after each character, (N, D); of an LSTM those of its cell."""
    model.eval()
    state, values = None, []
    for i in range(len(ids)):
        _, state = model(ids[None, i : i + 1], state)
        vector = state.cell_state if isinstance(state, LSTMState) else state
        values.append(vector.flatten())
    return torch.stack(values).double().numpy()


def _correlations(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the absolute correlation of each column with a quantity."""
    centred = values - values.mean(axis=0)
    target = wanted - wanted.mean()
    scale = np.sqrt((centred**2).sum(axis=0) * (target**2).sum())
    return np.abs(target @ centred) / np.maximum(scale, 1e-12)
