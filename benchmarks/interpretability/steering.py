"""Directions are added to the residual stream, and components of it are ablated.

Letters: N windows, T tokens, D width, F features, n directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch.nn import functional as F

from benchmarks.interpretability.sparse import HEIGHT, SparseAutoencoder, Vectors, breaks
from benchmarks.interpretability.stream import StreamTask, logits_from, streams

MEASURED, STEERED = 24, 16  # windows to measure, and to steer
LENGTHS = (50, 100, 150, 200, 250)  # of what is added to the stream or taken off it
STEERING_DRAWS, RANDOM_DRAWS, GROUP_DRAWS = 6, 8, 6
CLOSE = 0.3  # cosine from which on a feature counts as close to a direction


def capital_pieces(pieces: Sequence[str]) -> torch.Tensor:
    """Return which pieces have two letters at least and no small one, (V,) bool.

    Parameters
    ----------
    pieces
        The text of each piece.

    Returns
    -------
    is_capitals : torch.Tensor
        (V,) bool.
    """
    letters = ["".join(c for c in piece if c.isalpha()) for piece in pieces]
    return torch.tensor([len(part) > 1 and part.isupper() for part in letters])


@dataclass(frozen=True)
class ExaminedFeature:
    """A feature of a trained autoencoder, and the text on which it is steered and ablated.

    Parameters
    ----------
    task
        The model and its text.
    autoencoder
        The trained autoencoder.
    feature
        The number of the feature.
    learned
        Vectors, for the difference between the means at breaks and at other places.
    """

    task: StreamTask
    autoencoder: SparseAutoencoder
    feature: int
    learned: Vectors

    def windows(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and targets of the first windows of the test text, (N, T) each."""
        windows = self.task.windows["test"][:count]
        return windows[:, :-1], windows[:, 1:]

    def steering_directions(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return the directions to add to the stream, (n, D), drawn ones among them."""
        learned, directions = self.learned, self.autoencoder.directions()
        used = (self.autoencoder.encode(learned.x[: len(learned.x) // 8]) > 0).any(0)
        used[self.feature] = False
        others = used.nonzero()[:, 0]
        drawn = others[torch.randperm(len(others), generator=generator)[:STEERING_DRAWS]]
        difference = learned.x[learned.is_break].mean(0) - learned.x[~learned.is_break].mean(0)
        return {
            "feature": directions[[self.feature]],
            "difference of means": difference[None],
            "random": torch.randn(STEERING_DRAWS, learned.x.shape[-1], generator=generator),
            "other features": directions[drawn],
        }


@torch.no_grad()
def steer(examined: ExaminedFeature, generator: torch.Generator) -> dict[str, float]:
    """Add directions to the stream everywhere, and measure pieces in capitals and the loss.

    Parameters
    ----------
    examined
        The feature; its difference of means is that between breaks and all other places.
    generator
        Draws random directions, and other features.

    Returns
    -------
    figures : dict of str to float
        For each direction and length, the mean probability of pieces in capitals, where the text
        goes on otherwise and no speech has just ended, and the loss of the text. For several
        directions, the mean, and the largest probability.
    """
    task, (ids, targets) = examined.task, examined.windows(STEERED)
    x, is_capitals = streams(task.model, ids)[HEIGHT], capital_pieces(task.pieces())
    elsewhere = ~is_capitals[targets] & ~breaks(ids, task.line_break)

    def measure(vector: torch.Tensor) -> tuple[float, float]:
        logits = logits_from(task.model, x + vector, HEIGHT)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        p = logits[elsewhere].softmax(-1)[:, is_capitals].sum(-1)
        return float(p.mean()), float(loss)

    sets = examined.steering_directions(generator)
    p, loss = measure(torch.zeros(x.shape[-1]))
    figures = {"capitals, plain": p, "steered loss, plain": loss}
    for length in LENGTHS:
        for name, rows in sets.items():
            found = [measure(length * row) for row in F.normalize(rows, dim=1)]
            probabilities, losses = zip(*found, strict=True)
            figures[f"capitals, {name}, {length}"] = fmean(probabilities)
            figures[f"largest capitals, {name}, {length}"] = max(probabilities)
            figures[f"steered loss, {name}, {length}"] = fmean(losses)
    return figures


@torch.no_grad()
def ablate(examined: ExaminedFeature, generator: torch.Generator) -> dict[str, float]:
    """Ablate directions of the stream at breaks, and measure the pieces in capitals there.

    Parameters
    ----------
    examined
        The feature; its difference of means is that between breaks and other line breaks.
    generator
        Draws random directions, and groups of features.

    Returns
    -------
    figures : dict of str to float
        The mean probability of pieces in capitals after breaks with the stream as it is, with
        each part taken off, and with the stream moved by each length against each direction.
        Of several directions the mean, and the lowest.
    """
    task, (ids, targets) = examined.task, examined.windows(MEASURED)
    x, is_break = streams(task.model, ids)[HEIGHT], breaks(ids, task.line_break)
    is_capitals = capital_pieces(task.pieces())

    def after_breaks(h: torch.Tensor) -> float:
        logits = logits_from(task.model, torch.where(is_break[..., None], h, x), HEIGHT)
        return float(logits[is_break].softmax(-1)[:, is_capitals].sum(-1).mean())

    learned, own = examined.learned, examined.autoencoder.directions()[examined.feature]
    at_other = learned.x[(learned.tokens == task.line_break) & ~learned.is_break].mean(0)
    direction = F.normalize(learned.x[learned.is_break].mean(0) - at_other, dim=0)
    cosines = examined.autoencoder.directions() @ direction  # (F,)
    parts = _stream_components(examined, cosines, x=x, generator=generator)
    parts["difference of means"] = [((x - at_other) @ direction)[..., None] * direction]
    noise = torch.randn(RANDOM_DRAWS, x.shape[-1], generator=generator)
    parts["random"] = [row.expand_as(x) for row in noise]
    to_other = ((x - at_other) @ own)[..., None] * own  # sets the coordinate along the feature
    figures = {
        "after breaks, plain": after_breaks(x),
        "after breaks, text": float(is_capitals[targets[is_break]].double().mean()),
        "after breaks, feature set to other breaks": after_breaks(x - to_other),
        "length, feature set to other breaks": _length(to_other, is_break),
        "cosine, feature": float(cosines[examined.feature]),
        "close features": int((cosines > CLOSE).sum()),
    }
    for name, vectors in parts.items():
        if name != "random":
            figures[f"after breaks, without {name}"] = fmean(after_breaks(x - v) for v in vectors)
            figures[f"length, {name}"] = fmean(_length(v, is_break) for v in vectors)
        for length in LENGTHS:
            values = [after_breaks(x - length * F.normalize(v, dim=-1)) for v in vectors]
            figures[f"after breaks, {name}, {length}"] = fmean(values)
            figures[f"lowest after breaks, {name}, {length}"] = min(values)
    return figures


def _stream_components(
    examined: ExaminedFeature,
    cosines: torch.Tensor,
    *,
    x: torch.Tensor,
    generator: torch.Generator,
) -> dict[str, list[torch.Tensor]]:
    """Return components of the stream: the feature's, its neighbours', and those of others.

    The other ones are groups as large as the group of close features, drawn among those that are
    active at breaks.
    """
    autoencoder, learned, feature = examined.autoencoder, examined.learned, examined.feature
    f, directions = autoencoder.encode(x), autoencoder.directions()
    close = cosines > CLOSE
    is_active = (autoencoder.encode(learned.x[learned.is_break]) > 0).any(0)
    others = (is_active & ~close).nonzero()[:, 0]
    groups = [
        others[torch.randperm(len(others), generator=generator)[: int(close.sum())]]
        for _ in range(GROUP_DRAWS)
    ]
    return {
        "feature": [f[..., [feature]] @ directions[[feature]]],
        "close features": [f[..., close] @ directions[close]],
        "other features": [f[..., group] @ directions[group] for group in groups],
    }


def _length(vectors: torch.Tensor, is_break: torch.Tensor) -> float:
    """Return the mean length at breaks of vectors (N, T, D)."""
    return float(vectors[is_break].norm(dim=1).mean())
