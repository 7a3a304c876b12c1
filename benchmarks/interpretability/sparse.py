"""Sparse autoencoders of the residual stream: reconstruction, one feature, steering.

Letters: N places, D width, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.interpretability.stream import Text, logits_from, streams
from utils.models.typed_module import TypedModule

HEIGHT = 2  # layers below the stream that is decomposed
FEATURES, ACTIVE = 768, 12
STEPS, BATCH_SIZE = 400, 512
LEARNED, SCORED, MEASURED = 300, 40, 24  # windows: to train, to choose a feature, to measure
STEERED = 8  # windows of them that are steered
THRESHOLDS = 12  # tried for each feature
STRENGTHS = (1.0, 2.0, 4.0, 6.0)  # of steering, in mean activations of the feature
DIRECTIONS = 6  # random ones beside the feature


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


def read_vectors(text: Text, part: str, count: int, seed: int) -> Vectors:
    """Read random windows of a part of the text.

    Parameters
    ----------
    text
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
    windows = text.windows[part]
    drawn = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed))[:count]
    ids, targets = windows[drawn][:, :-1], windows[drawn][:, 1:]
    x = [streams(text.model, rows)[HEIGHT].flatten(0, 1) for rows in ids.split(32)]
    is_line_break = ids == text.line_break
    is_break = torch.zeros_like(is_line_break)
    is_break[:, 1:] = is_line_break[:, 1:] & is_line_break[:, :-1]
    return Vectors(torch.cat(x), ids.flatten(), targets.flatten(), is_break.flatten())


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
def unexplained(vectors: torch.Tensor, reconstructed: torch.Tensor) -> float:
    """Return the share of the variance of vectors (N, D) that a reconstruction leaves."""
    error = (vectors - reconstructed).square().sum()
    return float(error / (vectors - vectors.mean(0)).square().sum())


@torch.no_grad()
def principal(vectors: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
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


def name_pieces(pieces: list[str]) -> torch.Tensor:
    """Return which pieces are of a speaker's name: two capitals at least, no small letter.

    Parameters
    ----------
    pieces
        The text of each piece.

    Returns
    -------
    is_name : torch.Tensor
        (V,) bool.
    """
    letters = ["".join(c for c in piece if c.isalpha()) for piece in pieces]
    return torch.tensor([len(part) > 1 and part.isupper() for part in letters])


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


@torch.no_grad()
def steering(
    text: Text, windows: torch.Tensor, direction: torch.Tensor, is_name: torch.Tensor
) -> float:
    """Return the mean probability of pieces of names after a vector is added everywhere.

    Places where the text goes on with such a piece are left out.

    Parameters
    ----------
    text
        The model.
    windows
        Tokens and the one after them, (N, T + 1) int64.
    direction
        What is added to the stream at HEIGHT, (D,).
    is_name
        Which pieces count, (V,) bool.

    Returns
    -------
    probability : float
        The mean over places.
    """
    x = streams(text.model, windows[:, :-1])[HEIGHT] + direction
    p = logits_from(text.model, x, HEIGHT).softmax(-1)  # (N, T, V)
    elsewhere = ~is_name[windows[:, 1:]]
    return float(p[..., is_name].sum(-1)[elsewhere].mean())


def run_autoencoder(text: Text, *, rate: float, seed: int, is_trial: bool) -> dict[str, Any]:
    """Train an autoencoder, and measure it with its controls.

    Parameters
    ----------
    text
        The model and its text.
    rate
        The learning rate.
    seed
        Draws windows, directions and batches.
    is_trial
        Measure the reconstruction of validation text only.

    Returns
    -------
    figures : dict
        Shares of variance and of loss, and what `examine_feature` measures.
    """
    learned = read_vectors(text, "train", LEARNED, seed)
    autoencoder = train_autoencoder(learned.x, rate=rate, seed=seed)
    chosen = read_vectors(text, "valid", MEASURED, 0).x
    figures: dict[str, Any] = {"selection loss": unexplained(chosen, autoencoder(chosen))}
    if is_trial:
        return figures
    ids, targets = text.windows["test"][:MEASURED, :-1], text.windows["test"][:MEASURED, 1:]
    x = streams(text.model, ids)[HEIGHT]  # (N, T, D)
    mean, directions = principal(learned.x, ACTIVE)
    found = {
        "model": x,
        "mean": mean.expand_as(x),
        "autoencoder": autoencoder(x),
        "principal": mean + (x - mean) @ directions @ directions.T,
        "table of pieces": piece_means(learned.x, learned.tokens, len(text.tokenizer))[ids],
    }
    loss = {}
    for name, stream in found.items():
        logits = logits_from(text.model, stream, HEIGHT)
        loss[name] = float(F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        figures[f"loss, {name}"] = loss[name]
        figures[f"unexplained, {name}"] = unexplained(x.flatten(0, 1), stream.flatten(0, 1))
    for name in ("autoencoder", "principal", "table of pieces"):
        figures[f"loss recovered, {name}"] = (loss["mean"] - loss[name]) / (
            loss["mean"] - loss["model"]
        )
    figures["features in use"] = int((autoencoder.encode(chosen) > 0).any(0).sum())
    return figures | examine_feature(text, autoencoder, seed)


def examine_feature(text: Text, autoencoder: SparseAutoencoder, seed: int) -> dict[str, Any]:
    """Choose the feature that detects breaks between speeches best, test it, remove it, steer.

    Parameters
    ----------
    text
        The model and its text.
    autoencoder
        A trained autoencoder.
    seed
        Draws random directions.

    Returns
    -------
    figures : dict
        F₁ of the detector, of coordinates of the stream and of the piece alone; losses without the
        feature; probabilities with steering.
    """
    learned, tested = (read_vectors(text, part, SCORED, 1) for part in ("train", "test"))
    activations = autoencoder.encode(learned.x)
    detector = best_detector(activations, learned.is_break)
    i, mean = detector.feature, learned.x.mean(0)
    coordinates = [torch.cat([x - mean, mean - x], 1) for x in (learned.x, tested.x)]
    other = best_detector(coordinates[0], learned.is_break)
    found = {
        "feature": autoencoder.encode(tested.x)[:, i] > detector.threshold,
        "coordinate": coordinates[1][:, other.feature] > other.threshold,
        "line break": torch.isin(tested.tokens, tested.tokens[tested.is_break]),
    }
    active = activations[:, i][activations[:, i] > 0]
    size, generator = float(active.mean()), torch.Generator().manual_seed(seed)
    width = autoencoder.decoder.shape[1]
    used = (activations > 0).any(0).nonzero()[:, 0]
    others = used[used != i]
    others = others[torch.randperm(len(others), generator=generator)[:DIRECTIONS]]
    sets = {
        "feature": autoencoder.directions()[[i]],
        "random": F.normalize(torch.randn(DIRECTIONS, width, generator=generator), dim=1),
        "other features": autoencoder.directions()[others],
    }
    figures: dict[str, Any] = {"feature": i, "mean activation": size}
    figures |= {
        f"F1, {name}": float(f1_score(answers, tested.is_break)) for name, answers in found.items()
    }
    figures["share of breaks"] = float(tested.is_break.double().mean())
    figures["norm of the stream"] = float(tested.x.norm(dim=1).mean())
    figures |= losses_without(text, autoencoder, i, sets["random"])
    windows, is_name = text.windows["test"][:STEERED], name_pieces(text.pieces())
    figures["probability, plain"] = steering(text, windows, torch.zeros(width), is_name)
    for strength in STRENGTHS:
        for name, rows in sets.items():
            values = [steering(text, windows, strength * size * row, is_name) for row in rows]
            figures[f"probability, {name}, {strength:g}"] = fmean(values)
            figures[f"largest probability, {name}, {strength:g}"] = max(values)
    return figures


@torch.no_grad()
def losses_without(
    text: Text, autoencoder: SparseAutoencoder, feature: int, directions: torch.Tensor
) -> dict[str, float]:
    """Return the loss after breaks, and what it is without the feature's part of the stream.

    Parameters
    ----------
    text
        The model and its text.
    autoencoder
        A trained autoencoder.
    feature
        The number of the feature.
    directions
        Directions of length 1 for the control, (n, D): as much is taken off along each.

    Returns
    -------
    losses : dict of str to float
        Nats per piece after the breaks of test windows.
    """
    ids, targets = text.windows["test"][:SCORED, :-1], text.windows["test"][:SCORED, 1:]
    is_break = torch.zeros_like(ids, dtype=torch.bool)
    is_break[:, 1:] = (ids[:, 1:] == text.line_break) & (ids[:, :-1] == text.line_break)
    x = streams(text.model, ids)[HEIGHT]  # (N, T, D)
    sizes = autoencoder.encode(x)[..., [feature]] * is_break[..., None]  # (N, T, 1)

    def loss(direction: torch.Tensor) -> float:
        logits = logits_from(text.model, x - sizes * direction, HEIGHT)
        return float(F.cross_entropy(logits[is_break], targets[is_break]))

    return {
        "loss after breaks": loss(torch.zeros(x.shape[-1])),
        "loss after breaks, without feature": loss(autoencoder.directions()[feature]),
        "loss after breaks, random": fmean(loss(direction) for direction in directions),
    }
