"""Periodic token sequences, and what the heads of an attention-only model do on them.

Letters: N rows, P period, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.interpretability.networks import AttentionOnly
from utils.data.batches import IGNORE_INDEX, Batch

VOCAB_SIZE, LENGTH = 64, 48
SHORTEST, LONGEST = 8, 20  # periods
TRACED = 20  # tokens of a traced sequence before it begins again
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
    """Return how much each head attends to the token before, and to the one that came next.

    The latter is the token after the last occurrence of the present token, one period less one
    back. The period is the longest one.

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


@dataclass(frozen=True)
class Traced:
    """Sequences A B … A with another token in place of the first A, for activation patching.

    Parameters
    ----------
    clean, corrupt
        The sequences, (N, TRACED + n), that end with A.
    answers
        The token B that follows A in the clean ones, (N,).
    places
        Where A stands first, (N,).
    """

    clean: torch.Tensor
    corrupt: torch.Tensor
    answers: torch.Tensor
    places: torch.Tensor


def traced_rows(count: int, seed: int, *, place: int = 8) -> Traced:
    """Draw sequences whose last token has occurred once, and the same without that occurrence.

    Parameters
    ----------
    count
        Number N of sequences.
    seed
        Draws them.
    place
        Where the last token occurs first.

    Returns
    -------
    traced : Traced
        Sequences of TRACED + `place` + 1 tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([torch.randperm(VOCAB_SIZE, generator=generator) for _ in range(count)])
    period, other = drawn[:, :TRACED], drawn[:, TRACED]
    clean = torch.cat([period, period[:, : place + 1]], 1)
    corrupt = clean.clone()
    corrupt[:, place] = other
    return Traced(clean, corrupt, period[:, place + 1], torch.full((count,), place))


@torch.no_grad()
def recovered(
    model: AttentionOnly, traced: Traced, height: int, position: int, *, is_control: bool = False
) -> float:
    """Return how much of the logit of B one vector of the clean run brings back.

    Source: ``eq-patching`` (section 8.2); Meng et al. 2022; Wang et al. 2023.

    Parameters
    ----------
    model
        The model.
    traced
        The sequences.
    height
        Layers before the vector of the stream that is replaced.
    position
        Its position.
    is_control
        Take the vector from the clean run of another sequence.

    Returns
    -------
    share : float
        0 as in the corrupt run, 1 as in the clean one; in the mean logit.
    """
    vectors = model.streams(traced.clean)[height]
    vectors = vectors.roll(1, 0) if is_control else vectors
    where = torch.zeros_like(traced.clean, dtype=torch.bool)
    where[:, position] = True
    rows = torch.arange(len(vectors))

    def logit(logits: torch.Tensor) -> torch.Tensor:
        last = logits[:, -1] - logits[:, -1].mean(-1, keepdim=True)  # (N, V)
        return last[rows, traced.answers].mean()

    clean, corrupt = (logit(model(ids)[0]) for ids in (traced.clean, traced.corrupt))
    patched = logit(model(traced.corrupt, patches={height: (where, vectors)})[0])
    return float((patched - corrupt) / (clean - corrupt))


def loss_without(model: AttentionOnly, batch: Batch, heads: Sequence[tuple[int, int]]) -> float:
    """Return the loss of repeated tokens without some heads, (layer, head) each."""
    keep = torch.ones(model.num_layers, model.num_heads)
    for layer, head in heads:
        keep[layer, head] = 0
    return repeated_loss(model, batch, keep)


def examine_heads(model: AttentionOnly, seed: int) -> dict[str, Any]:
    """Score the heads of a model, silence some of them, and trace one token.

    Parameters
    ----------
    model
        A trained model.
    seed
        Draws the sequences; other ones than in training.

    Returns
    -------
    figures : dict
        Losses, scores, losses without heads, and shares recovered by patching.
    """
    batch = repeated_batch(256, seed)
    previous, induction = head_scores(model, seed)
    figures: dict[str, Any] = {
        "loss, repeated": repeated_loss(model, batch),
        "previous-token scores": previous.tolist(),
        "induction scores": induction.tolist(),
        "largest previous-token score": float(previous[0].max()),
        "largest induction score": float(induction.max()),
    }
    if model.num_layers < 2:
        return figures
    layers = {"previous": (0, previous[0]), "induction": (1, induction[1])}
    for name, (layer, scores) in layers.items():
        ranked = scores.argsort(descending=True).tolist()
        losses = [loss_without(model, batch, [(layer, head)]) for head in ranked]
        figures[f"loss without {name} head"] = losses[0]
        figures[f"loss without another head, layer {layer + 1}"] = fmean(losses[1:])
    traced = traced_rows(256, seed)
    place, last = int(traced.places[0]), traced.clean.shape[1] - 1
    for height in range(model.num_layers + 1):
        for name, position in (("A", place), ("B", place + 1), ("last", last)):
            for is_control in (False, True):
                key = f"recovered at {name}, height {height}" + (", control" * is_control)
                figures[key] = recovered(model, traced, height, position, is_control=is_control)
    return figures
