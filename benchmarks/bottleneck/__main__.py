"""Bits that a decoder reads from one vector, by its size and the training: for section 2.3.

    python -m benchmarks.bottleneck              some five minutes of one quiet core
    python -m benchmarks.bottleneck grid         one part

Strings of random letters are copied. Encoder and decoder have a fixed width; between them, a linear
map presses the vector to k numbers and another widens it again. Each arm has its own learning rate:
rates a factor of two apart are tried with one seed that is used for nothing else, more of them
while the best is at an edge. The longest training has the rates of a shorter one. Tuning and
figures use different strings. Networks of one shape are trained side by side. Trials and runs are
rows of book/results/bottleneck.json; a run that was stopped goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from benchmarks import record
from benchmarks.bottleneck.networks import Network, Stack, count_parameters
from benchmarks.bottleneck.parts import FIRST_RATES, NUMBERS, PARTS, Arm, grid_arm
from benchmarks.bottleneck.readers import (
    BATCH_SIZES,
    HIDDEN,
    READER_STEPS,
    READERS,
    ReaderName,
    read_anew,
)
from benchmarks.bottleneck.task import (
    BEYOND,
    LETTER_BITS,
    LONGEST,
    REPORTING,
    SELECTION,
    readings,
)
from benchmarks.bottleneck.training import BATCH_SIZE, train
from utils.console import make_output_safe

TUNING_SEED = 100
FACTOR, MAX_TRIALS = 2.0, 9
ENCODER_STEPS = 500  # of the encoders whose vectors are read anew
FIRST_READER_RATES: dict[ReaderName, tuple[float, ...]] = {
    "stronger decoder": (1e-2, 2e-2, 4e-2),
    "probe": (2.5e-3, 5e-3, 1e-2),
}

Runs = list[tuple[str, float, int]]  # arm, rate, seed
Figures = dict[str, Any]
RunAll = Callable[[Runs], list[Figures]]  # trains them side by side


def next_rate(scores: Mapping[float, float]) -> float | None:
    """Return the rate to try next, or None if the best one has a worse one on each side.

    Raises
    ------
    RuntimeError
        If the best rate is still at an edge after MAX_TRIALS trials.
    """
    best = min(scores, key=lambda rate: scores[rate])
    if min(scores) < best < max(scores):
        return None
    if len(scores) >= MAX_TRIALS:
        raise RuntimeError(f"the best rate is at an edge of those tried: {dict(scores)}")
    return best / FACTOR if best == min(scores) else best * FACTOR


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
        rows: record.SeedRows,
        trials: record.SeedRows,
        settings: Mapping[str, dict[str, Any]],
        costs: Mapping[str, dict[str, Any]],
        run_all: RunAll,
    ) -> None:
        self.rows, self.trials, self.settings, self.costs = rows, trials, settings, costs
        self._run_all = run_all

    def tune(self, first_rates: Sequence[float]) -> dict[str, dict[float, float]]:
        """Return the score of each rate tried for each arm, a low one being good."""
        scores: dict[str, dict[float, float]] = {arm: {} for arm in self.settings}
        wanted: Runs = [(arm, r, TUNING_SEED) for arm in self.settings for r in first_rates]
        while wanted:
            self._measure(self.trials, wanted, dict.fromkeys(self.settings))
            for arm, rate, seed in wanted:
                figures = self.trials.figures(_trial(arm, rate), seed)
                scores[arm][rate] = float(figures["bits not read"])
            following = {arm: next_rate(tried) for arm, tried in scores.items()}
            wanted = [(arm, rate, TUNING_SEED) for arm, rate in following.items() if rate]
        return {arm: dict(sorted(tried.items())) for arm, tried in scores.items()}

    def run(self, scores: Mapping[str, Mapping[float, float]], seeds: Sequence[int]) -> None:
        """Run each arm at its best rate with all seeds."""
        best = {arm: min(tried, key=lambda rate: tried[rate]) for arm, tried in scores.items()}
        runs: Runs = [(arm, rate, seed) for arm, rate in best.items() for seed in seeds]
        self._measure(self.rows, runs, {arm: list(tried) for arm, tried in scores.items()})

    def _measure(
        self, rows: record.SeedRows, runs: Runs, grids: Mapping[str, list[float] | None]
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


def copying_figures(stack: Stack) -> list[Figures]:
    """Measure trained networks: one entry of figures for each."""
    lengths = range(1, LONGEST + BEYOND + 1)
    selection, reporting = (
        readings(stack.logits, stack.reversed_source, split=split, lengths=asked)
        for split, asked in ((SELECTION, range(1, LONGEST + 1)), (REPORTING, lengths))
    )
    result = []
    for i in range(len(stack.networks)):
        unread = [n * LETTER_BITS - float(r.bits[i]) for n, r in selection.items()]
        bits = [float(reading.bits[i]) for reading in reporting.values()]
        exact = [float(reading.exact[i]) for reading in reporting.values()]
        result.append(
            {
                "bits not read": sum(unread) / len(unread),
                "bits read of the longest": bits[LONGEST - 1],
                "letters copied": sum(exact[:LONGEST]),
                "bits read": bits,
                "exact": exact,
                "right letters": reporting[LONGEST].by_position[i].tolist(),
            }
        )
    return result


def _comparison(part: str, arms: Mapping[str, Arm], run: record.Run, options: Any) -> Comparison:
    """Return the comparison of arms of one shape and length of training."""

    def run_all(runs: Runs) -> list[Figures]:
        names, rates, run_seeds = zip(*runs, strict=True)
        networks = [arms[name].network for name in names]
        return copying_figures(train(networks, rates=rates, seeds=run_seeds, steps=steps))

    (steps,) = {arm.steps for arm in arms.values()}
    tokens = round(steps * BATCH_SIZE * (LONGEST + 3) / 2)  # with EOS, on average
    costs = {
        name: {"parameters": count_parameters(arm.network), "tokens": tokens}
        for name, arm in arms.items()
    }
    settings = {name: arm.settings() for name, arm in arms.items()}
    return Comparison(*_rows(part, run, options), settings, costs, run_all)


def compare_arms(
    part: str, arms: Mapping[str, Arm], seeds: Sequence[int], run: record.Run, options: Any
) -> dict[str, float]:
    """Tune and run arms of one shape and length of training; return the rate of each."""
    sources = {name: arm.rate_of or name for name, arm in arms.items()}
    tuned = {source: PARTS[part][source] for source in sources.values()}
    scores = _comparison(part, tuned, run, options).tune(FIRST_RATES)
    own_scores = {name: scores[source] for name, source in sources.items()}
    _comparison(part, arms, run, options).run(own_scores, seeds)
    return {arm: min(tried, key=lambda rate: tried[rate]) for arm, tried in own_scores.items()}


def compare_readers(
    rates: Mapping[str, float], seeds: Sequence[int], run: record.Run, options: Any
) -> None:
    """Tune and run new readers of the vectors that trained encoders write, and untrained ones."""
    keys = [(k, seed) for k in NUMBERS for seed in [TUNING_SEED, *seeds]]
    networks = [Network(numbers=k) for k, _ in keys]
    encoder_seeds = [seed for _, seed in keys]
    encoder_rates = [rates[grid_arm(k, ENCODER_STEPS)] for k, _ in keys]
    trained = train(networks, rates=encoder_rates, seeds=encoder_seeds, steps=ENCODER_STEPS)
    stacks = {"": trained, "untrained, ": Stack(networks, encoder_seeds)}
    for reader in READERS:
        for prefix, encoders in stacks.items():
            if prefix and reader != "probe":
                continue
            arms = {f"{prefix}{k} numbers, {reader}": k for k in NUMBERS}

            def run_all(
                runs: Runs,
                arms: Mapping[str, int] = arms,
                encoders: Stack = encoders,
                reader: ReaderName = reader,
            ) -> list[Figures]:
                chosen = encoders.select([keys.index((arms[arm], seed)) for arm, _, seed in runs])
                run_rates = [rate for _, rate, _ in runs]
                selection, reporting = read_anew(
                    reader, chosen, rates=run_rates, steps=READER_STEPS
                )
                return [
                    {"bits not read": LONGEST * LETTER_BITS - s, "bits read of the longest": r}
                    for s, r in zip(selection, reporting, strict=True)
                ]

            batch_size = BATCH_SIZES[reader]
            settings = {
                "optimizer": "Adam",
                "steps": READER_STEPS,
                "batch size": batch_size,
                "hidden": HIDDEN if reader == "probe" else None,
                "encoder steps": 0 if prefix else ENCODER_STEPS,
            }
            costs = {"parameters": None, "tokens": READER_STEPS * batch_size * LONGEST}
            comparison = Comparison(
                *_rows("readers", run, options),
                dict.fromkeys(arms, settings),
                dict.fromkeys(arms, costs),
                run_all,
            )
            comparison.run(comparison.tune(FIRST_READER_RATES[reader]), seeds)


def _rows(part: str, run: record.Run, options: Any) -> tuple[record.SeedRows, record.SeedRows]:
    """Return the rows of a part and those of its trials."""
    names = (part, f"{part}, trials")
    rows, trials = (
        record.SeedRows(options.out, run, part=name, origin="real") for name in names
    )  # strings are drawn, no corpus is read
    return rows, trials


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("bottleneck", __doc__)
    names = [*PARTS, "readers"]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(names):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    torch.set_num_threads(1)
    run = record.Run.start("bottleneck", arguments)
    wanted = options.parts or names
    for part in [name for name in PARTS if name in wanted]:
        for arms in _of_one_shape(PARTS[part]):
            compare_arms(part, arms, options.seeds, run, options)
    if "readers" in wanted:
        arms = {name: arm for name, arm in PARTS["grid"].items() if arm.steps == ENCODER_STEPS}
        rates = compare_arms("grid", arms, options.seeds, run, options)
        compare_readers(rates, options.seeds, run, options)


def _of_one_shape(arms: Mapping[str, Arm]) -> list[dict[str, Arm]]:
    """Group arms that can be trained side by side."""
    groups: dict[Any, dict[str, Arm]] = {}
    for name, arm in arms.items():
        network = arm.network
        shape = (arm.steps, network.cell, network.memory, network.numbers is None)
        groups.setdefault(shape, {})[name] = arm
    return list(groups.values())


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
