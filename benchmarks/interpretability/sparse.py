"""Sparse autoencoders of the residual stream, their rivals, and the search for a feature.

Letters: N places, D width, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.interpretability.stream import StreamTask, streams
from utils.models.typed_module import TypedModule

HEIGHT = 2  # layers below the stream that is decomposed
FEATURES, ACTIVE = 768, 12
STEPS, BATCH_SIZE = 2000, 512
LEARNED = 300  # windows to train on
THRESHOLDS = 12  # tried for each feature


class SparseAutoencoder(TypedModule):
    """Vectors as sums of a few of many directions, of which the largest `ACTIVE` are kept.

    Source: ``eq-sparse-autoencoder`` (section 8.2); Makhzani and Frey 2014; Gao et al. 2024.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_features
        Number F of directions.
    active
        How many of them a vector may use.
    """

    def __init__(self, width: int, num_features: int = FEATURES, *, active: int = ACTIVE) -> None:
        super().__init__()
        self.active = active
        directions = F.normalize(torch.randn(num_features, width), dim=1)
        self.decoder = nn.Parameter(directions.clone())  # (F, D)
        self.encoder = nn.Parameter(directions.clone())  # (F, D)
        self.encoder_bias = nn.Parameter(torch.zeros(num_features))
        self.mean = nn.Parameter(torch.zeros(width))

    def directions(self) -> torch.Tensor:
        """Return the directions of the features, each of length 1, (F, D)."""
        return F.normalize(self.decoder, dim=1)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations (…, F) of vectors (…, D); all but the largest are zero."""
        found = F.relu((x - self.mean) @ self.encoder.T + self.encoder_bias)  # (…, F)
        values, places = found.topk(self.active, dim=-1)  # (…, active)
        return torch.zeros_like(found).scatter(-1, places, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction (…, D) of vectors (…, D)."""
        return self.mean + self.encode(x) @ self.directions()


@dataclass(frozen=True, eq=False)
class Vectors:
    """The stream at HEIGHT in some windows.

    Parameters
    ----------
    x
        The vectors, (N, D).
    tokens, targets
        The piece at each place, and the next one, (N,) int64.
    is_break
        Where a blank line between two speeches ends: a line break after a line break, (N,) bool.
    """

    x: torch.Tensor
    tokens: torch.Tensor
    targets: torch.Tensor
    is_break: torch.Tensor


def read_vectors(task: StreamTask, part: str, *, count: int, seed: int) -> Vectors:
    """Read random windows of a part of the text.

    Parameters
    ----------
    task
        The model and its text.
    part
        "train", "valid" or "test".
    count
        Number of windows at most.
    seed
        Draws them.

    Returns
    -------
    vectors : Vectors
        One for each token of the windows.
    """
    windows = task.windows[part]
    drawn = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed))[:count]
    ids, targets = windows[drawn][:, :-1], windows[drawn][:, 1:]
    x = [streams(task.model, rows)[HEIGHT].flatten(0, 1) for rows in ids.split(32)]
    is_break = breaks(ids, task.line_break)
    return Vectors(torch.cat(x), ids.flatten(), targets.flatten(), is_break.flatten())


def breaks(ids: torch.Tensor, line_break: int) -> torch.Tensor:
    """Return where a speech has just ended, (N, T) bool: a line break after a line break."""
    is_line_break = ids == line_break
    is_break = torch.zeros_like(is_line_break)
    is_break[:, 1:] = is_line_break[:, 1:] & is_line_break[:, :-1]
    return is_break


def train_autoencoder(
    vectors: torch.Tensor, *, rate: float, seed: int, steps: int = STEPS
) -> SparseAutoencoder:
    """Train an autoencoder by the squared error.

    Parameters
    ----------
    vectors
        The stream, (N, D).
    rate
        The highest learning rate, which falls linearly to zero.
    seed
        Seed of directions and batches.
    steps
        Number of steps.

    Returns
    -------
    autoencoder : SparseAutoencoder
        The trained model.
    """
    torch.manual_seed(seed)
    scale = vectors.std(0).mean()
    autoencoder = SparseAutoencoder(vectors.shape[1])
    autoencoder.mean.data.copy_(vectors.mean(0))
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=rate, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, total_iters=steps)
    for _ in range(steps):
        x = vectors[torch.randint(len(vectors), (BATCH_SIZE,))]
        loss = (autoencoder(x) - x).square().mean() / scale**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    return autoencoder.requires_grad_(False)


@torch.no_grad()
def unexplained_variance(vectors: torch.Tensor, reconstructed: torch.Tensor) -> float:
    """Return the share of the variance of vectors (N, D) that a reconstruction leaves."""
    error = (vectors - reconstructed).square().sum()
    return float(error / (vectors - vectors.mean(0)).square().sum())


@torch.no_grad()
def principal_directions(vectors: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean (D,) and the first principal directions (D, count) of vectors (N, D)."""
    mean = vectors.mean(0)
    _, _, right = torch.linalg.svd(vectors[:20_000] - mean, full_matrices=False)
    return mean, right[:count].T


def piece_means(vectors: torch.Tensor, tokens: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Return the mean vector of each piece, (V, D); of an unseen one the mean of all.

    Parameters
    ----------
    vectors
        The stream, (N, D).
    tokens
        The pieces there, (N,).
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    means : torch.Tensor
        (V, D).
    """
    counts = torch.bincount(tokens, minlength=vocab_size)[:, None]
    sums = torch.zeros(vocab_size, vectors.shape[1]).index_add(0, tokens, vectors)
    return torch.where(counts > 0, sums / counts.clamp(min=1), vectors.mean(0))


@dataclass(frozen=True)
class Detector:
    """A feature that answers whether a property holds, where it is above a threshold.

    Parameters
    ----------
    feature
        Its number.
    threshold
        What its activation must exceed.
    score
        F₁ on the places where it was chosen.
    """

    feature: int
    threshold: float
    score: float


def f1_score(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return 2·true positives / (found + true), (…), of answers (N, …) and truths (N,)."""
    hits = (found & truth.view(-1, *[1] * (found.ndim - 1))).sum(0)
    return 2 * hits / (found.sum(0) + truth.sum())


def best_detector(activations: torch.Tensor, truth: torch.Tensor) -> Detector:
    """Return the feature and the threshold with the largest F₁.

    Parameters
    ----------
    activations
        Of all candidates, (N, F).
    truth
        Whether the property holds, (N,) bool.

    Returns
    -------
    detector : Detector
        The best of F times THRESHOLDS.
    """
    largest, best = activations.amax(0), Detector(0, 0.0, -1.0)  # (F,)
    for step in range(THRESHOLDS):
        share = step / THRESHOLDS
        scores = f1_score(activations > share * largest, truth)  # (F,)
        i = int(scores.argmax())
        if scores[i] > best.score:
            best = Detector(i, float(share * largest[i]), float(scores[i]))
    return best
