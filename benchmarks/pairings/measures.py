"""Right answers of a translator, and what a wrong word in the history does to those after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.pairings.task import Planted, Task
from utils.data.batches import IGNORE_INDEX
from utils.data.pair_batches import IdPair, pair_batch
from utils.data.vocabulary import EOS
from utils.decoding.greedy_search import greedy_search
from utils.decoding.token_rules import NEVER_GENERATED
from utils.decoding.translation import decode_sources

LONGEST_ANSWER = 12  # tokens; the longest target has six words and EOS


def answers(model: Any, pairs: Sequence[IdPair]) -> list[list[int]]:
    """Return the greedy translation of each source."""
    search = partial(greedy_search, max_length=LONGEST_ANSWER)
    return decode_sources(model, [source for source, _ in pairs], search, batch_size=500)


def exact_share(model: Any, pairs: Sequence[IdPair]) -> float:
    """Return the share of greedy translations that are right to the last word."""
    written = answers(model, pairs)
    return sum(a == b for a, (_, b) in zip(written, pairs, strict=True)) / len(pairs)


@torch.inference_mode()
def rest_is_right(
    model: Any, pairs: Sequence[IdPair], *, positions: Sequence[int], words: Sequence[int] | None
) -> torch.Tensor:
    """Return for each pair whether all words after a position are predicted right.

    With greedy decoding from the same history, the words that are written after the position are
    right in exactly these cases.

    Parameters
    ----------
    model
        An encoder–decoder.
    pairs
        N pairs.
    positions
        A position in each target, from 0.
    words
        The words that the history has at these positions; None for the true ones.

    Returns
    -------
    is_right : torch.Tensor
        (N,) bool. EOS is among the words after a position.
    """
    batch = pair_batch(pairs)
    at = torch.tensor(positions)  # (N,)
    inputs = batch.inputs.clone()  # (N, T)
    if words is not None:
        inputs[torch.arange(len(at)), at + 1] = torch.tensor(words)
    logits, _ = model.eval()(inputs, model.begin(batch.source))  # (N, T, V)
    logits[..., list(NEVER_GENERATED)] = -math.inf
    is_wrong = (logits.argmax(-1) != batch.targets) & (batch.targets != IGNORE_INDEX)
    is_after = torch.arange(inputs.shape[1]) > at[:, None]  # (N, T)
    return ~(is_wrong & is_after).any(-1)


def first_mistakes(
    model: Any, pairs: Sequence[IdPair], kinds: Sequence[Sequence[int]]
) -> tuple[list[Planted], list[Planted]]:
    """Return the first wrong word of each wrong greedy translation.

    Parameters
    ----------
    model
        An encoder–decoder.
    pairs
        The pairs to translate.
    kinds
        The ids of words that may replace each other.

    Returns
    -------
    same_kind, others : list of Planted
        Mistakes that replace a word by one of its kind, so that the rest of the target still fits,
        and all others, such as EOS in place of a word. A wrong word in place of EOS is in neither
        list, as nothing follows.
    """
    kind_of = {word: kind for kind in kinds for word in kind}
    same_kind: list[Planted] = []
    others: list[Planted] = []
    for ids, pair in zip(answers(model, pairs), pairs, strict=True):
        written, target = [*ids, EOS], pair[1]
        t = next((t for t, word in enumerate(pair[1]) if written[t] != word), None)
        if t is None:
            continue
        fits = written[t] in kind_of.get(target[t], [])
        (same_kind if fits else others).append(Planted(pair, t, written[t]))
    return same_kind, others


def wrong_words(model: Any, task: Task) -> dict[str, list[Planted]]:
    """Return the wrong words whose effect is measured, by where they come from.

    Parameters
    ----------
    model
        An encoder–decoder.
    task
        The data.

    Returns
    -------
    items : dict
        "planted" ones, and the model's first mistakes of "same kind" and "others".
    """
    same_kind, others = first_mistakes(model, task.reporting, task.kinds())
    return {"planted": task.planted(), "same kind": same_kind, "others": others}


def history_figures(model: Any, items: Sequence[Planted]) -> dict[str, float]:
    """Measure in how many of the items the rest is right, with the true and with the wrong word.

    Parameters
    ----------
    model
        An encoder–decoder.
    items
        Wrong words.

    Returns
    -------
    figures : dict of str to float
        "items", and how many are right with "true" and with "wrong" history.
    """
    figures = {"items": float(len(items)), "true": 0.0, "wrong": 0.0}
    if items:
        pairs, positions = [item.pair for item in items], [item.position for item in items]
        for name, words in (("true", None), ("wrong", [item.word for item in items])):
            figures[name] = float(
                rest_is_right(model, pairs, positions=positions, words=words).sum()
            )
    return figures
