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
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks import record
from benchmarks.bottleneck.comparison import TUNING_SEED, Comparison, Figures, Runs
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

ENCODER_STEPS = 500  # of the encoders whose vectors are read anew
FIRST_READER_RATES: dict[ReaderName, tuple[float, ...]] = {
    "stronger decoder": (1e-2, 2e-2, 4e-2),
    "probe": (2.5e-3, 5e-3, 1e-2),
}


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
    """Tune and run arms of one shape and length of training.

    Parameters
    ----------
    part
        The part that the arms belong to.
    arms
        The arms by name.
    seeds
        The seeds of the runs.
    run
        Where and when the benchmark runs.
    options
        The options of the command line.

    Returns
    -------
    rates : dict of str to float
        The best learning rate of each arm.
    """
    sources = {name: arm.rate_of or name for name, arm in arms.items()}
    tuned = {source: PARTS[part][source] for source in sources.values()}
    scores = _comparison(part, tuned, run, options).tune(FIRST_RATES)
    own_scores = {name: scores[source] for name, source in sources.items()}
    _comparison(part, arms, run, options).run(own_scores, seeds)
    return {arm: min(tried, key=lambda rate: tried[rate]) for arm, tried in own_scores.items()}


def compare_readers(
    rates: Mapping[str, float], seeds: Sequence[int], run: record.Run, options: Any
) -> None:
    """Tune and run new readers of the vectors that trained encoders write, and untrained ones.

    Parameters
    ----------
    rates
        The learning rate of the encoder of each arm of the grid.
    seeds
        The seeds of the runs.
    run
        Where and when the benchmark runs.
    options
        The options of the command line.
    """
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
