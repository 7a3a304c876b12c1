"""Tiny Shakespeare by characters: nanoGPT's recipe for a small CPU against the book's.

    python -m benchmarks.characters --seeds 3               both recipes, in one process, in turn
    python -m benchmarks.characters --seeds 3 --ablation    each ingredient added to those before it

The first 90 % of the characters train, the last 10 % validate: each of them is predicted once, in
windows of 64. The baseline is nanoGPT's recipe for a small CPU (Karpathy 2022: 4 layers, 4 heads,
128 wide, context length 64, batch size 12, 2,000 steps) with a model and a bare loop of its own
(``nanogpt``). The book's recipe (``character_recipes``) is a `GPT` that `fit` trains for as many
steps as take the baseline's time. The two advance in turn, a tenth each, so that whatever else the
machine does slows both. Results go to book/results/characters.json, or where `--out=FILE` says; a
part that a run does not make stays as it was there. Section 6.2 reads them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import nanogpt, record
from benchmarks.character_recipes import BOOK_RECIPE, INGREDIENTS, NANOGPT_RECIPE, CharacterRecipe
from benchmarks.character_task import CharacterTask
from benchmarks.nanogpt import train_baseline
from benchmarks.stopwatch import LossCurve, TimedBatches
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

NUM_VALIDATIONS = 10  # in a run
RUN_NAMES = ("baseline", "book", "quarter")
TIME_FRACTION = 0.97  # of the baseline's time that the book's recipe is planned to take
TRIAL_STEPS, NUM_TRIALS = 20, 3  # to measure how long a step takes


def train_recipe(
    task: CharacterTask,
    recipe: CharacterRecipe,
    config: TrainConfig,
    valid: TimedBatches,
    *,
    seed: int,
) -> LossCurve:
    """Train a new model by a recipe, with another `config` than the recipe's.

    Parameters
    ----------
    task
        The data.
    recipe
        The model and how it is trained.
    config
        How to train, in place of the recipe's configuration.
    valid
        The validation batches, which record the training time.
    seed
        Seed of the parameters and of the order of the data.

    Returns
    -------
    curve : LossCurve
        The loss of each validation.
    """
    seed_everything(seed)
    model = recipe.build(task)
    batches = task.train_batches(seed=seed, without_replacement=recipe.without_replacement)
    valid.start()
    history = fit(
        model, batches, config, valid=valid, progress=False, make_optimizer=recipe.make_optimizer
    )
    return LossCurve.from_readings(history.valid_losses, valid.readings)


def with_validations(config: TrainConfig, steps: int) -> TrainConfig:
    """Return the configuration for about `steps` steps, with `NUM_VALIDATIONS` validations.

    Parameters
    ----------
    config
        A configuration.
    steps
        The number of training steps.

    Returns
    -------
    config : TrainConfig
        The configuration with a number of steps that `NUM_VALIDATIONS` divides.
    """
    interval = max(1, steps // NUM_VALIDATIONS)
    return replace(config, steps=interval * NUM_VALIDATIONS, evaluate_every=interval)


def run_duel(
    task: CharacterTask, *, seed: int, baseline_steps: int, book_steps: int
) -> dict[str, LossCurve]:
    """Run both recipes in turn, then the book's alone for a quarter of its steps.

    Parameters
    ----------
    task
        The data.
    seed
        Seed of the parameters and of the order of the data.
    baseline_steps
        Training steps of the baseline.
    book_steps
        Training steps of the book's recipe.

    Returns
    -------
    curves : dict
        The curves of "book", "quarter" and "baseline".
    """
    baseline_losses: list[tuple[int, float]] = []
    baseline_valid, valid = task.valid_batches(), task.valid_batches()
    baseline_config = with_validations(NANOGPT_RECIPE.config, baseline_steps)

    def train_baseline_meanwhile() -> Iterator[None]:
        for validation in train_baseline(task, baseline_valid, baseline_config, seed=seed):
            baseline_losses.append(validation)
            yield

    valid.meanwhile = train_baseline_meanwhile()
    curves = {}
    for name, steps in (("book", book_steps), ("quarter", book_steps // 4)):
        config = with_validations(BOOK_RECIPE.config, steps)
        curves[name] = train_recipe(task, BOOK_RECIPE, config, valid, seed=seed)
        valid = task.valid_batches()
    curves["baseline"] = LossCurve.from_readings(baseline_losses, baseline_valid.readings)
    for name, curve in curves.items():
        print(f"seed {seed} {name:9s} {curve.losses[-1]:.4f} nats, {curve.processor[-1]:.0f} s")
    return curves


def equal_time_steps(task: CharacterTask, baseline_steps: int) -> int:
    """Return how many steps of the book's recipe fit into the time of the baseline's.

    Parameters
    ----------
    task
        The data.
    baseline_steps
        Training steps of the baseline.

    Returns
    -------
    book_steps : int
        The number of steps, of which trials have shown how long they take.
    """
    trial = replace(task, valid=task.train[:100])
    baseline_config = replace(NANOGPT_RECIPE.config, steps=TRIAL_STEPS, evaluate_every=TRIAL_STEPS)
    book_config = replace(BOOK_RECIPE.config, steps=TRIAL_STEPS)
    baseline_seconds, book_seconds = [], []
    for _ in range(NUM_TRIALS):
        valid = trial.valid_batches()
        list(train_baseline(trial, valid, baseline_config, seed=0))
        baseline_seconds.append(valid.readings[-1].processor)
        valid = trial.valid_batches()
        train_recipe(trial, BOOK_RECIPE, book_config, valid, seed=0)
        book_seconds.append(valid.readings[-1].processor)
    ratio = statistics.median(baseline_seconds) / statistics.median(book_seconds)
    return int(TIME_FRACTION * baseline_steps * ratio)


def mean_and_sd(values: Sequence[float]) -> dict[str, float | None]:
    """Return {"mean", "sd"} to 4 decimals; the standard deviation of one value is None."""
    deviation = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(statistics.mean(values), 4), "sd": deviation}


def summarize(runs: Sequence[dict[str, LossCurve]]) -> dict[str, Any]:
    """Summarize run_duels over their seeds: last losses, and times relative to the baseline's."""

    def over_seeds(figure: Callable[[dict[str, LossCurve], str], float]) -> dict[str, Any]:
        return {name: mean_and_sd([figure(run, name) for run in runs]) for name in RUN_NAMES}

    fractions = [fraction for run in runs if (fraction := time_to_baseline(run)) is not None]
    return {
        "final_loss": over_seeds(lambda run, name: run[name].losses[-1]),
        "time_over_baseline": over_seeds(
            lambda run, name: run[name].processor[-1] / run["baseline"].processor[-1]
        ),
        "book_reaches_baselines_best_at_part_of_its_time": (
            mean_and_sd(fractions) if fractions else None
        ),
    }


def time_to_baseline(run: dict[str, LossCurve]) -> float | None:
    """Return the fraction of the baseline's time in which the book's recipe reaches its loss.

    That is the baseline's lowest loss; the result is None if the book's recipe never reaches it.
    """
    seconds = run["book"].seconds_to(min(run["baseline"].losses))
    return None if seconds is None else seconds / run["baseline"].processor[-1]


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
        config = replace(recipe.config, steps=steps, evaluate_every=0)
        curves = [
            train_recipe(task, recipe, config, task.valid_batches(), seed=seed)
            for seed in range(num_seeds)
        ]
        losses = [curve.losses[-1] for curve in curves]
        seconds = [curve.processor[-1] for curve in curves]
        rows.append(AblationRow(ingredient.name, losses, seconds))
        mean_loss, mean_seconds = statistics.mean(losses), statistics.mean(seconds)
        print(f"{ingredient.name:28s} {mean_loss:.4f} nats, {mean_seconds:.0f} s")
    return rows


def run_duels(task: CharacterTask, options: argparse.Namespace) -> dict[str, Any]:
    """Run a duel for each seed, and return the part of the file without its provenance.

    Parameters
    ----------
    task
        The data.
    options
        The options of the command line.

    Returns
    -------
    part : dict
        The summary and the curves of all runs.
    """
    book_steps = options.book_steps or equal_time_steps(task, options.steps)
    runs = [
        run_duel(task, seed=seed, baseline_steps=options.steps, book_steps=book_steps)
        for seed in range(options.seeds)
    ]
    stored_runs = [{name: asdict(curve) for name, curve in run.items()} for run in runs]
    return {"summary": summarize(runs), "runs": stored_runs}


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("characters", __doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--steps", type=int, default=nanogpt.STEPS, help="of the baseline")
    parser.add_argument(
        "--book-steps", type=int, help="of the book's recipe: by default as many as take equal time"
    )
    parser.add_argument("--ablation", action="store_true", help="instead of the duel")
    options = parser.parse_args(arguments)
    run, task = record.Run.start("characters", arguments), CharacterTask.load()
    if options.ablation:
        rows = run_ablation(task, num_seeds=options.seeds, steps=options.steps)
        name = "ablation"
        part: dict[str, Any] = {"rows": [asdict(row) for row in rows], "steps": options.steps}
    else:
        name, part = "duel", run_duels(task, options)
    part["provenance"] = run.provenance(seeds=range(options.seeds), origin=task.origin)
    record.write_results(options.out, {name: part}, keep_others=True)


if __name__ == "__main__":
    main(sys.argv[1:])
