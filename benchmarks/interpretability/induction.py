"""Periodic token sequences, and what the heads of an attention-only model do on them.

Letters: N rows, P period, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.interpretability.networks import AttentionOnly
from utils.data.batches import IGNORE_INDEX, Batch

VOCAB_SIZE, LENGTH = 64, 48
SHORTEST, LONGEST = 8, 20  # periods
SCORED = 64  # sequences that heads are scored on


def periodic_rows(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw sequences that repeat a period of different random tokens.

    Parameters
    ----------
    count
        Number N of sequences.
    generator
        Draws periods and tokens.

    Returns
    -------
    rows : torch.Tensor
        LENGTH + 1 tokens each, (N, LENGTH + 1) int64.
    periods : torch.Tensor
        The length of the period of each, (N,).
    """
    periods = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator)
    rows = []
    for period in periods.tolist():
        tokens = torch.randperm(VOCAB_SIZE, generator=generator)[:period]
        rows.append(tokens[torch.arange(LENGTH + 1) % period])
    return torch.stack(rows), periods


class PeriodicBatches:
    """Batches of periodic sequences: ``stream[step]`` depends on seed and step.

    Parameters
    ----------
    batch_size
        Sequences in a batch.
    seed
        The seed.
    """

    def __init__(self, *, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed

    def __getitem__(self, step: int, /) -> Batch:
        """Return the batch of a step."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        rows, _ = periodic_rows(self.batch_size, generator)
        return Batch(rows[:, :-1], rows[:, 1:])


def repeated_batch(count: int, seed: int) -> Batch:
    """Return sequences of which only the tokens that the period determines are targets.

    Parameters
    ----------
    count
        Number of sequences.
    seed
        Draws them.

    Returns
    -------
    batch : Batch
        The targets of the first period are IGNORE_INDEX.
    """
    rows, periods = periodic_rows(count, torch.Generator().manual_seed(seed))
    first = torch.arange(1, LENGTH + 1)[None] < periods[:, None]  # (N, T)
    return Batch(rows[:, :-1], rows[:, 1:].masked_fill(first, IGNORE_INDEX))


@torch.no_grad()
def repeated_loss(model: AttentionOnly, batch: Batch, keep: torch.Tensor | None = None) -> float:
    """Return the mean loss of the targets of `repeated_batch`, in nats per token.

    Parameters
    ----------
    model
        The model.
    batch
        The sequences.
    keep
        As in `AttentionOnly.forward`.

    Returns
    -------
    loss : float
        Nats per token.
    """
    logits = model(batch.inputs, keep=keep)[0]
    return float(F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()))


@torch.no_grad()
def head_scores(model: AttentionOnly, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each head's previous-token score and its prefix-matching score.

    They are its mean attention to the previous token, and to the token that followed the present
    one last time, which is one period less one back. The period is the longest one.

    Source: Elhage et al. 2021; Olsson et al. 2022, who call them previous-token and
    prefix-matching scores.

    Parameters
    ----------
    model
        The model.
    seed
        Draws the sequences.

    Returns
    -------
    previous, induction : torch.Tensor
        Mean weights, (layers, H).
    """
    generator = torch.Generator().manual_seed(seed)
    period = torch.stack(
        [torch.randperm(VOCAB_SIZE, generator=generator)[:LONGEST] for _ in range(SCORED)]
    )
    rows = period.repeat(1, 3)[:, :LENGTH]
    previous, induction = [], []
    for layer, x in enumerate(model.streams(rows)[:-1]):
        weights, _ = model.heads(layer, x)  # (N, H, T, T)
        previous.append(weights.diagonal(-1, 2, 3).mean((0, 2)))
        # rows from LONGEST on: the diagonal begins there, at the row LONGEST − 1
        induction.append(weights.diagonal(1 - LONGEST, 2, 3)[..., 1:].mean((0, 2)))
    return torch.stack(previous), torch.stack(induction)


def without(model: AttentionOnly, heads: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Return factors (layers, H) that ablate some heads, (layer, head) each."""
    keep = torch.ones(model.num_layers, model.num_heads)
    for layer, head in heads:
        keep[layer, head] = 0
    return keep


def examine_heads(model: AttentionOnly, seed: int) -> dict[str, Any]:
    """Score the heads of a model, and ablate those of the first layer.

    Parameters
    ----------
    model
        A trained model.
    seed
        Draws the sequences; other ones than in training.

    Returns
    -------
    figures : dict
        Losses, scores, and losses without the heads of the first layer that attend most to the
        token before: the first, the second, both, and the mean of all others than the first.
    """
    batch = repeated_batch(256, seed)
    previous, induction = head_scores(model, seed)
    first, second, *others = previous[0].argsort(descending=True).tolist()

    def loss(*heads: int) -> float:
        return repeated_loss(model, batch, without(model, [(0, head) for head in heads]))

    return {
        "loss, repeated": loss(),
        "previous-token score, first": float(previous[0, first]),
        "previous-token score, second": float(previous[0, second]),
        "largest induction score": float(induction[1].max()),
        "loss without first": loss(first),
        "loss without second": loss(second),
        "loss without both": loss(first, second),
        "loss without another head": fmean(loss(head) for head in (second, *others)),
    }
