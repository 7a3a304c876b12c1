"""Canaries: random lines in the training text of a language model, and how far it knows them."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import torch
from torch.nn import functional as F

from utils.data.batches import TextBatches
from utils.data.corpora import load_text
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.models.stored import StoredModel, load_stored_model
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

STORED = "gpt-pieces"
COPIES = (1, 4, 16)  # times that a canary stands in the text
EACH = 20  # canaries for each number of copies
PRETEXT = "The number of the house is"
DIGITS = 6
OTHERS = 255  # canaries that are nowhere in the text
TEXT = 30_000  # characters of the text around them
STEPS, BATCH_SIZE, LENGTH, RATE = 100, 8, 64, 2e-3

Figures = dict[str, Any]


def make_canaries(count: int, generator: torch.Generator) -> list[str]:
    """Return canaries: one sentence that ends with random digits."""
    digits = torch.randint(10, (count, DIGITS), generator=generator).tolist()
    return [f"{PRETEXT} {' '.join(map(str, row))}.\n" for row in digits]


def planted(text: str, canaries: dict[int, list[str]], generator: torch.Generator) -> str:
    """Return the text with each canary between its lines, as often as its key says."""
    lines = text.splitlines(keepends=True)
    extra = [line for copies, group in canaries.items() for line in group for _ in range(copies)]
    places = torch.randint(len(lines), (len(extra),), generator=generator).tolist()
    for place, line in sorted(zip(places, extra, strict=True), reverse=True):
        lines.insert(place, line)
    return "".join(lines)


@torch.no_grad()
def line_losses(model: GPT, ids: list[list[int]], prefix: int = 1) -> torch.Tensor:
    """Return −log p of lines given their first pieces, in nats, (N,).

    Parameters
    ----------
    model
        The model in evaluation mode.
    ids
        The pieces of the lines, of any lengths.
    prefix
        Number of pieces that are given.
    """
    losses = []
    for line in ids:
        row = torch.tensor([line])
        logits, _ = model(row[:, :-1])
        losses.append(F.cross_entropy(logits[0, prefix - 1 :], row[0, prefix:], reduction="sum"))
    return torch.stack(losses)


def exposure(losses: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the exposure of canaries against others that were not in the text.

    Source: ``eq-exposure`` (section 8.3); Carlini et al. 2019.

    Parameters
    ----------
    losses
        Losses of canaries, (N,).
    others
        Losses of the others, (R,).

    Returns
    -------
    exposure : torch.Tensor
        log₂ (R + 1) − log₂ rank, (N,), in bits; the rank is 1 where no other one costs less.
    """
    rank = 1 + (others < losses[:, None]).sum(1)
    return math.log2(len(others) + 1) - rank.double().log2()


def run_canaries(*, seed: int) -> tuple[Figures, dict[str, Any]]:
    """Train the stored GPT on text with canaries, and measure their exposure.

    Parameters
    ----------
    seed
        Draws the canaries, their places and the batches.

    Returns
    -------
    figures, costs : dict
        The mean exposure before and after for each number of copies, and how often each piece
        was read.

    Raises
    ------
    TypeError
        If the stored model is no GPT.
    """
    start, stored, text = time.process_time(), load_stored_model(STORED), load_text()
    if not isinstance(stored.model, GPT):
        raise TypeError(f"the stored model {STORED} is a {type(stored.model).__name__}")
    seed_everything(seed)
    generator = torch.Generator().manual_seed(seed)
    groups = {copies: make_canaries(EACH, generator) for copies in (0, *COPIES)}
    others = make_canaries(OTHERS, generator)
    with_canaries = planted(text.train[:TEXT], groups, generator)
    encode = stored.tokenizer.encode
    model = copy.deepcopy(stored.model)
    ids = torch.tensor(encode(with_canaries))
    batches = TextBatches(ids, batch_size=BATCH_SIZE, context_length=LENGTH, seed=seed)
    config = TrainConfig(steps=STEPS, learning_rate=RATE, warmup_fraction=0.1)
    fit(model, batches, config, progress=False).raise_if_interrupted()
    model.eval()
    figures = exposures(stored, model, groups=groups, others=others)
    figures["passes"] = STEPS * BATCH_SIZE * LENGTH / len(ids)
    costs = {
        "parameters": count_parameters(model),
        "tokens": STEPS * BATCH_SIZE * LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def exposures(
    stored: StoredModel, trained: GPT, *, groups: dict[int, list[str]], others: list[str]
) -> Figures:
    """Return the mean exposure of each group of canaries by both models.

    Parameters
    ----------
    stored
        The model before the training, a GPT in evaluation mode, with its tokenizer.
    trained
        The model after it, in evaluation mode.
    groups
        The canaries for each number of copies in the text.
    others
        Canaries that are nowhere in the text.

    Returns
    -------
    figures : dict
        The mean exposure in bits, "before" and "after", for each number of copies.
    """
    assert isinstance(stored.model, GPT)
    figures: Figures = {}
    encode = stored.tokenizer.encode
    prefix = len(encode(PRETEXT))
    for moment, model in (("before", stored.model), ("after", trained)):
        other_losses = line_losses(model, [encode(line) for line in others], prefix)
        for copies, group in groups.items():
            losses = line_losses(model, [encode(line) for line in group], prefix)
            figures[f"exposure {moment}, {copies}"] = float(exposure(losses, other_losses).mean())
    return figures
