"""Arms of a comparison that are tuned and run side by side, each at its own rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks import result_files
from benchmarks.tuning import next_rate

TUNING_SEEDS = (100, 101)

Runs = list[tuple[str, float, int]]  # arm, rate, seed
Figures = dict[str, Any]
RunAll = Callable[[Runs], list[Figures]]  # trains them side by side


class Comparison:
    """Arms of one part that are tuned and run side by side.

    Parameters
    ----------
    rows, trials
        The rows of the runs and those of the trials.
    settings, costs
        What is stored of each arm but for rate and grid, and its parameters and tokens.
    run_all
        Trains runs side by side and returns the figures of each, "bits not read" among them, on the
        strings that select.
    """

    def __init__(
        self,
        rows: result_files.SeedRows,
        trials: result_files.SeedRows,
        *,
        settings: Mapping[str, dict[str, Any]],
        costs: Mapping[str, dict[str, Any]],
        run_all: RunAll,
    ) -> None:
        self.rows, self.trials, self.settings, self.costs = rows, trials, settings, costs
        self._run_all = run_all

    def tune(self, first_rates: Sequence[float]) -> dict[str, dict[float, float]]:
        """Return the score of each rate tried for each arm, a low one being good."""
        scores: dict[str, dict[float, float]] = {arm: {} for arm in self.settings}
        wanted = [(arm, rate) for arm in self.settings for rate in first_rates]
        while wanted:
            runs: Runs = [(arm, rate, seed) for arm, rate in wanted for seed in TUNING_SEEDS]
            self._measure(self.trials, runs, dict.fromkeys(self.settings))
            for arm, rate in wanted:
                scores[arm][rate] = self._score(arm, rate)
            following = {arm: next_rate(tried) for arm, tried in scores.items()}
            wanted = [(arm, rate) for arm, rate in following.items() if rate]
        return {arm: dict(sorted(tried.items())) for arm, tried in scores.items()}

    def run(self, scores: Mapping[str, Mapping[float, float]], seeds: Sequence[int]) -> None:
        """Run each arm at its best rate with all seeds."""
        best = {arm: min(tried, key=lambda rate: tried[rate]) for arm, tried in scores.items()}
        runs: Runs = [(arm, rate, seed) for arm, rate in best.items() for seed in seeds]
        self._measure(self.rows, runs, {arm: list(tried) for arm, tried in scores.items()})

    def _score(self, arm: str, rate: float) -> float:
        """Return the mean score of the trials of a rate."""
        figures = [self.trials.figures(_trial(arm, rate), seed) for seed in TUNING_SEEDS]
        return fmean(float(each["bits not read"]) for each in figures)

    def _measure(
        self, rows: result_files.SeedRows, runs: Runs, grids: Mapping[str, list[float] | None]
    ) -> None:
        """Write the rows that are missing."""
        is_trial = rows is self.trials
        missing, settings = [], {}
        for arm, rate, seed in runs:
            name = _trial(arm, rate) if is_trial else arm
            settings[name] = self.settings[arm] | {"learning_rate": rate, "grid": grids[arm]}
            missing += [(arm, rate, seed) for _ in rows.missing(name, [seed], settings[name])]
        if not missing:
            return
        start = time.process_time()
        all_figures = self._run_all(missing)
        seconds = round((time.process_time() - start) / len(missing), 2)  # a share of the stack's
        for (arm, rate, seed), figures in zip(missing, all_figures, strict=True):
            name = _trial(arm, rate) if is_trial else arm
            costs = self.costs[arm] | {"processor_seconds": seconds}
            rows.write(name, seed, figures=figures, settings=settings[name], costs=costs)


def _trial(arm: str, rate: float) -> str:
    """Return the name of the row of a trial."""
    return f"{arm}, rate {rate:g}"
