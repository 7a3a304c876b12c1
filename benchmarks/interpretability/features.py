"""A sparse autoencoder, its controls, and what the best of its features does.

Letters: N windows, T tokens, D width, F features, n directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.interpretability.sparse import (
    ACTIVE,
    HEIGHT,
    LEARNED,
    SparseAutoencoder,
    Vectors,
    best_detector,
    f1_score,
    piece_means,
    principal_directions,
    read_vectors,
    train_autoencoder,
    unexplained_variance,
)
from benchmarks.interpretability.steering import MEASURED, ExaminedFeature, ablate, steer
from benchmarks.interpretability.stream import StreamTask, logits_from, streams

CHOOSING = 60  # windows to choose a feature


def run_autoencoder(task: StreamTask, *, rate: float, seed: int, is_trial: bool) -> dict[str, Any]:
    """Train an autoencoder, and measure it with its controls.

    Parameters
    ----------
    task
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
        Losses and shares of variance with each reconstruction, and what `examine_feature`
        measures.
    """
    learned = read_vectors(task, "train", count=LEARNED, seed=seed)
    autoencoder = train_autoencoder(learned.x, rate=rate, seed=seed)
    chosen = read_vectors(task, "valid", count=MEASURED, seed=0).x
    figures: dict[str, Any] = {"selection loss": unexplained_variance(chosen, autoencoder(chosen))}
    if is_trial:
        return figures
    ids, targets = task.windows["test"][:MEASURED, :-1], task.windows["test"][:MEASURED, 1:]
    x = streams(task.model, ids)[HEIGHT]  # (N, T, D)
    mean, directions = principal_directions(learned.x, ACTIVE)
    table = piece_means(learned.x, learned.tokens, len(task.tokenizer))
    _, of_rest = principal_directions(learned.x - table[learned.tokens], ACTIVE)
    found = {
        "model": x,
        "autoencoder": autoencoder(x),
        "principal": mean + (x - mean) @ directions @ directions.T,
        "table of pieces": table[ids],
        "table and directions": table[ids] + (x - table[ids]) @ of_rest @ of_rest.T,
    }
    for name, stream in found.items():
        logits = logits_from(task.model, stream, HEIGHT)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        figures[f"loss, {name}"] = float(loss)
        figures[f"unexplained, {name}"] = unexplained_variance(
            x.flatten(0, 1), stream.flatten(0, 1)
        )
    figures["features in use"] = int((autoencoder.encode(chosen) > 0).any(0).sum())
    return figures | examine_feature(task, autoencoder, learned=learned, seed=seed)


def examine_feature(
    task: StreamTask, autoencoder: SparseAutoencoder, *, learned: Vectors, seed: int
) -> dict[str, Any]:
    """Choose the feature that detects breaks between speeches best, test it, steer, ablate it.

    Parameters
    ----------
    task
        The model and its text.
    autoencoder
        A trained autoencoder.
    learned
        The vectors that it was trained on; the feature is chosen on the first of them.
    seed
        Draws random directions.

    Returns
    -------
    figures : dict
        F₁ of the feature, and what `steer` and `ablate` measure.
    """
    some = slice(0, CHOOSING * task.model.context_length)
    is_break, tested = learned.is_break[some], read_vectors(task, "test", count=CHOOSING, seed=1)
    detector = best_detector(autoencoder.encode(learned.x[some]), is_break)
    answers = autoencoder.encode(tested.x)[:, detector.feature] > detector.threshold
    figures: dict[str, Any] = {
        "feature": detector.feature,
        "F1, feature": float(f1_score(answers, tested.is_break)),
        "norm of the stream": float(tested.x.norm(dim=1).mean()),
    }
    generator = torch.Generator().manual_seed(seed)
    examined = ExaminedFeature(task, autoencoder, detector.feature, learned)
    figures |= steer(examined, generator)
    return figures | ablate(examined, generator)
