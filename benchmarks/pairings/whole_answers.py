"""Errors of whole answers, and the effect of wrong words by the number of words that follow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.pairings.measures import answers, exact_share, history_figures, wrong_words
from benchmarks.pairings.parts import RATE, Recipe
from benchmarks.pairings.task import Planted, Task
from benchmarks.pairings.training import STEPS, costs_of, train
from benchmarks.tuning import Costs, Figures
from utils.data.pair_batches import IdPair
from utils.metrics.error_rates import word_errors
from utils.runtime import seed_everything


def edit_figures(model: Any, task: Task, pairs: Sequence[IdPair]) -> Figures:
    """Count the word edits of greedy answers, in all and in those that are wrong.

    Parameters
    ----------
    model
        An encoder–decoder.
    task
        The data, whose tokenizer makes words of ids.
    pairs
        The pairs to translate.

    Returns
    -------
    figures : dict
        "edits" in all answers, "words" of all references, and "wrong" answers.
    """
    written = [task.tokenizer.decode(ids) for ids in answers(model, pairs)]
    true = [task.tokenizer.decode(target) for _, target in pairs]
    counts = word_errors(written, true)
    return {
        "edits": counts.substitutions + counts.deletions + counts.insertions,
        "words": counts.reference_length,
        "wrong": sum(a != b for a, b in zip(written, true, strict=True)),
    }


def by_words_left(items: Sequence[Planted]) -> dict[int, list[Planted]]:
    """Group wrong words by the number of target words that follow them."""
    groups: dict[int, list[Planted]] = {}
    for item in items:
        groups.setdefault(len(item.pair[1]) - 1 - item.position, []).append(item)
    return dict(sorted(groups.items()))


def run_answers(
    recipe: Recipe, task: Task, *, seed: int, steps: int = STEPS
) -> tuple[Figures, Costs]:
    """Train an arm and measure whole answers, and the harm of wrong words by their place.

    Parameters
    ----------
    recipe
        What to train.
    task
        The data.
    seed
        Seed of the training.
    steps
        Steps of the training.

    Returns
    -------
    figures : dict
        Shares of right answers, word edits, and what follows after planted and own mistakes.
    costs : dict
        What the training cost.
    """
    start = time.process_time()
    seed_everything(seed)
    model = train(recipe.build(task.vocab_size), recipe, task, rate=RATE, seed=seed, steps=steps)
    figures: Figures = {"exact": exact_share(model, task.reporting)}
    figures |= edit_figures(model, task, task.reporting)
    sets = wrong_words(model, task)
    for name, items in sets.items():
        figures |= {f"{name}, {key}": n for key, n in history_figures(model, items).items()}
    figures["by words left"] = {
        name: {
            str(left): history_figures(model, group)
            for left, group in by_words_left(sets[name]).items()
        }
        for name in ("planted", "same kind")
    }
    return figures, costs_of(model, task, start, seed=seed, steps=steps)
