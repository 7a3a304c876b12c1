"""The tuning of rates: a grid is extended until its best is inside, and no further."""

import math

import pytest

from benchmarks.tuning import (
    DIVERGED,
    MAX_TRIALS,
    Arm,
    finite_loss,
    next_rate,
    run_tuned_arm,
    tune,
    tune_arm,
)


@pytest.mark.parametrize("best, trials", [(1.0, 4), (8.0, 6), (0.25, 6)])
def test_tuning_goes_on_until_the_best_rate_is_inside(best, trials):
    scores = tune(lambda rate: abs(math.log(rate / best)), (0.5, 1.0, 2.0, 4.0))
    assert min(scores, key=scores.get) == best and len(scores) == trials
    assert list(scores) == sorted(scores) and min(scores) < best < max(scores)


def test_tuning_does_not_stop_in_a_dip_inside_its_grid():
    scores = {1.0: 0.5, 2.0: 0.8, 4.0: 0.6, 8.0: 0.9, 0.5: 0.9}
    assert list(tune(scores.__getitem__, (1.0, 2.0, 4.0, 8.0))) == sorted(scores)


def test_tuning_gives_up_where_there_is_no_best_rate():
    with pytest.raises(RuntimeError, match="at an edge"):
        tune(lambda rate: -rate, (1.0, 2.0))
    calls = []
    with pytest.raises(RuntimeError):
        tune(lambda rate: calls.append(rate) or rate, (1.0, 2.0))
    assert len(calls) == MAX_TRIALS


def test_rates_are_tried_until_the_best_is_inside():
    assert next_rate({1.0: 3.0, 2.0: 1.0, 4.0: 2.0}) is None
    assert next_rate({1.0: 1.0, 2.0: 2.0}) == 0.5
    assert next_rate({1.0: 3.0, 2.0: 2.0}) == 4.0
    with pytest.raises(RuntimeError, match="at an edge"):
        next_rate({2.0**i: -i for i in range(MAX_TRIALS)})


@pytest.mark.parametrize("loss", [math.nan, math.inf, 2 * DIVERGED])
def test_a_run_that_diverged_counts_as_the_largest_loss(loss):
    assert finite_loss(loss) == DIVERGED and finite_loss(3.0) == 3.0


class _Rows:
    """Rows in memory, as `SeedRows` keeps them in a file."""

    def __init__(self):
        self.stored = {}

    def missing(self, arm, seeds, settings):
        return [seed for seed in seeds if (arm, seed) not in self.stored]

    def write(self, arm, seed, *, figures, settings, costs):
        self.stored[arm, seed] = figures, settings, costs

    def figures(self, arm, seed):
        return self.stored[arm, seed][0]


def _distance_from_two(*, rate, seed):
    return {"loss": abs(math.log(rate / 2)) + seed / 1000}, {"tokens": seed}


def test_an_arm_is_tuned_by_rows_of_trials_and_runs_at_its_best_rate():
    arm = Arm({"steps": 5}, _distance_from_two, rates=(0.5, 1.0))
    trials, rows = _Rows(), _Rows()
    run_tuned_arm(
        "x", arm, tuning_seeds=[100, 101], seeds=[0, 1], trials=trials, rows=rows, figure="loss"
    )
    rates = [0.5, 1.0, 2.0, 4.0]
    assert list(trials.stored) == [(f"x, rate {r:g}", seed) for r in rates for seed in (100, 101)]
    for (name, _), (_, settings, _) in trials.stored.items():
        rate = settings["learning_rate"]
        assert name == f"x, rate {rate:g}" and settings["grid"] is None and settings["steps"] == 5
    chosen = {"steps": 5, "learning_rate": 2.0, "grid": rates}
    for seed in (0, 1):
        figures, costs = _distance_from_two(rate=2.0, seed=seed)
        assert rows.stored["x", seed] == (figures, chosen, costs)
    assert tune_arm("x", arm, seeds=[100, 101], trials=trials, figure="loss") == chosen
    assert len(trials.stored) == 8, "no trial is run twice"
