"""Bits that a decoder reads from one vector, by its size and the training: for section 2.3.

    python -m benchmarks.bottleneck              some twelve minutes of one quiet core
    python -m benchmarks.bottleneck grid         one part

Strings of random letters are copied. Encoder and decoder have a fixed width; between them, a linear
layer projects the vector to k numbers and another widens it again. Each arm has its own learning
rate: rates a factor of two apart are tried with two seeds that are used for nothing else, more of
them while the best is at an edge. Tuning and figures use different strings. Networks of one shape
are trained side by side. Trials and runs are rows of book/results/bottleneck.json; a run that was
stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.bottleneck.comparison import TUNING_SEEDS, Comparison, Figures, Runs
from benchmarks.bottleneck.networks import Network, Stack, count_parameters
from benchmarks.bottleneck.parts import FIRST_RATES, PARTS, Recipe, grid_arm
from benchmarks.bottleneck.readers import (
    NEW_DECODER_STEPS,
    NEW_DECODERS,
    NewDecoder,
    train_new_decoders,
)
from benchmarks.bottleneck.task import (
    BEYOND,
    LONGEST,
    REPORTING,
    SELECTION,
    bits_not_read,
    copy_scores_by_length,
)
from benchmarks.bottleneck.training import BATCH_SIZE, train
from utils.console import make_output_safe

READ_NUMBERS, ENCODER_STEPS = 8, 500  # of the encoders whose vectors are read anew


def copying_figures(stack: Stack) -> list[Figures]:
    """Measure trained networks: one entry of figures for each."""
    lengths = range(1, LONGEST + BEYOND + 1)
    selection, reporting = (
        copy_scores_by_length(stack.logits, stack.reversed_source, split=split, lengths=asked)
        for split, asked in ((SELECTION, range(1, LONGEST + 1)), (REPORTING, lengths))
    )
    result = []
    for i, unread in enumerate(bits_not_read(selection)):
        bits = [float(reading.bits[i]) for reading in reporting.values()]
        exact = [float(reading.exact[i]) for reading in reporting.values()]
        result.append(
            {
                "bits not read": unread,
                "bits read of the longest": bits[LONGEST - 1],
                "letters copied": sum(exact[:LONGEST]),
                "bits read": bits,
                "exact": exact,
                "right letters": reporting[LONGEST].by_position[i].tolist(),
            }
        )
    return result


def _comparison(
    part: str, arms: Mapping[str, Recipe], *, run: result_files.Run, options: Any
) -> Comparison:
    """Return the comparison of arms of one shape and length of training."""

    def run_all(runs: Runs) -> list[Figures]:
        names, rates, run_seeds = zip(*runs, strict=True)
        networks = [arms[name].network for name in names]
        return copying_figures(train(networks, rates=rates, seeds=run_seeds, steps=steps))

    (steps,) = {recipe.steps for recipe in arms.values()}
    tokens = round(steps * BATCH_SIZE * (LONGEST + 3) / 2)  # with EOS, on average
    costs = {
        name: {"parameters": count_parameters(recipe.network), "tokens": tokens}
        for name, recipe in arms.items()
    }
    settings = {name: recipe.settings() for name, recipe in arms.items()}
    return Comparison(*_rows(part, run, options), settings=settings, costs=costs, run_all=run_all)


def compare_arms(
    part: str,
    arms: Mapping[str, Recipe],
    *,
    seeds: Sequence[int],
    run: result_files.Run,
    options: Any,
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
    comparison = _comparison(part, arms, run=run, options=options)
    scores = comparison.tune(FIRST_RATES)
    comparison.run(scores, seeds)
    return {arm: min(tried, key=lambda rate: tried[rate]) for arm, tried in scores.items()}


def compare_readers(
    rates: Mapping[str, float], seeds: Sequence[int], *, run: result_files.Run, options: Any
) -> None:
    """Tune and run new decoders of frozen vectors.

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
    encoder_seeds = [*TUNING_SEEDS, *seeds]
    networks = [Network(numbers=READ_NUMBERS)] * len(encoder_seeds)
    encoder_rates = [rates[grid_arm(READ_NUMBERS, ENCODER_STEPS)]] * len(encoder_seeds)
    trained = train(networks, rates=encoder_rates, seeds=encoder_seeds, steps=ENCODER_STEPS)
    untrained = Stack(networks, encoder_seeds)
    for name, reader in NEW_DECODERS.items():
        encoders = trained if reader.trained_encoder else untrained
        comparison = _reader_comparison(name, reader, encoders=encoders, run=run, options=options)
        comparison.run(comparison.tune(FIRST_RATES), seeds)


def _reader_comparison(
    name: str, reader: NewDecoder, *, encoders: Stack, run: result_files.Run, options: Any
) -> Comparison:
    """Return the comparison, of one arm, that tunes and runs a reader."""

    def run_all(runs: Runs) -> list[Figures]:
        chosen = encoders.select([encoders.seeds.index(seed) for _, _, seed in runs])
        read = train_new_decoders(reader, chosen, rates=[rate for _, rate, _ in runs], steps=steps)
        return [{"bits not read": n, "bits read of the longest": bits} for n, bits in read]

    steps = NEW_DECODER_STEPS * reader.times
    settings = {
        "optimizer": "Adam",
        "steps": steps,
        "batch size": BATCH_SIZE,
        "numbers": READ_NUMBERS,
        "encoder steps": ENCODER_STEPS if reader.trained_encoder else 0,
    } | asdict(reader)
    mean_length = sum(reader.lengths) / len(reader.lengths)
    costs = {
        "parameters": None,  # as many as the decoder has; the encoder is frozen
        "tokens": round(steps * BATCH_SIZE * (mean_length + 1)),  # with EOS
    }
    rows, trials = _rows("readers", run, options)
    return Comparison(rows, trials, settings={name: settings}, costs={name: costs}, run_all=run_all)


def _rows(
    part: str, run: result_files.Run, options: Any
) -> tuple[result_files.SeedRows, result_files.SeedRows]:
    """Return the rows of a part and those of its trials."""
    names = (part, f"{part}, trials")
    rows, trials = (
        result_files.SeedRows(options.out, run, part=name, origin="real") for name in names
    )  # strings are drawn, no corpus is read
    return rows, trials


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("bottleneck", __doc__)
    names = [*PARTS, "readers"]
    command_line.add_parts(parser, names)
    command_line.add_seeds(parser, [0, 1, 2, 3, 4])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run = result_files.Run.start("bottleneck", arguments)
    for part in [name for name in PARTS if name in options.parts]:
        for arms in _of_one_shape(PARTS[part]):
            compare_arms(part, arms, seeds=options.seeds, run=run, options=options)
    if "readers" in options.parts:
        arms = {
            name: recipe for name, recipe in PARTS["grid"].items() if recipe.steps == ENCODER_STEPS
        }
        rates = compare_arms("grid", arms, seeds=options.seeds, run=run, options=options)
        compare_readers(rates, options.seeds, run=run, options=options)


def _of_one_shape(arms: Mapping[str, Recipe]) -> list[dict[str, Recipe]]:
    """Group arms that can be trained side by side."""
    groups: dict[Any, dict[str, Recipe]] = {}
    for name, recipe in arms.items():
        network = recipe.network
        shape = (recipe.steps, network.cell, network.width, network.memory, network.numbers is None)
        groups.setdefault(shape, {})[name] = recipe
    return list(groups.values())


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
