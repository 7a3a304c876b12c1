"""Ablation of the book's recipe, ingredient by ingredient: the part "ablation" of the results."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from benchmarks.characters.recipes import INGREDIENTS, NANOGPT_RECIPE, train_recipe
from benchmarks.characters.task import CharacterTask


@dataclass(frozen=True)
class AblationRow:
    """The recipe with one more ingredient.

    Parameters
    ----------
    added
        The ingredient.
    losses, processor
        The last validation loss and the processor time of each seed.
    """

    added: str
    losses: list[float]
    processor: list[float]


def run_ablation(task: CharacterTask, *, num_seeds: int, steps: int) -> list[AblationRow]:
    """Train from nanoGPT's recipe to the book's, one ingredient at a time, all in equal steps.

    Parameters
    ----------
    task
        The data.
    num_seeds
        The number of seeds, from 0 on.
    steps
        Training steps of each recipe.

    Returns
    -------
    rows : list of AblationRow
        The recipe with one ingredient more in each row.
    """
    recipe, rows = NANOGPT_RECIPE, []
    for ingredient in INGREDIENTS:
        recipe = ingredient.add_to(recipe)
        config = replace(recipe.config, steps=steps, validate_every=0)
        curves = [
            train_recipe(task, recipe, config=config, valid=task.valid_batches(), seed=seed)
            for seed in range(num_seeds)
        ]
        losses = [curve.losses[-1] for curve in curves]
        seconds = [curve.processor[-1] for curve in curves]
        rows.append(AblationRow(ingredient.name, losses, seconds))
        mean_loss, mean_seconds = statistics.mean(losses), statistics.mean(seconds)
        print(f"{ingredient.name:28s} {mean_loss:.4f} nats, {mean_seconds:.0f} s")
    return rows
