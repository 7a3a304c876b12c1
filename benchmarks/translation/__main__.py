"""Four encoder–decoders on Multi30k, German to English.

    python -m benchmarks.translation PART

    bake-off   four models of equal size, each for as many steps as one quiet core does in about
               five minutes; steps are counted, so that a busy machine gets the same models later
    longer     attention alone: between LSTMs 1,650 steps, five minutes of two quiet cores; between
               GRUs 5,400, fifteen, with more dropout; there beam search ranks its answers by the
               length penalty or by a bonus per token, whichever has the best BLEU on validation
    rates      each model of the bake-off from seed 0 with half and with twice its learning rate
    root       the first 60 steps of attention with and without the root in its score, and with one
               of the two changes that together equal it: some two minutes for three seeds
    chinese    attention on the English and Chinese sentences of Tatoeba, from the first seed: 1,000
               steps, some three minutes

All models share one vocabulary of 4,000 cased pieces, trained on the training text of both
languages, and one matrix for the embeddings of source and target and for the output. Batches hold
up to 64 sentences of equal source length; dropout, label smoothing and schedule are the same for
all in the bake-off. AdamW trains all parameters, Muon the matrices of the Transformer, which has a
second row where AdamW alone trains it. Nothing is chosen on the test set (test_2016_flickr), which
each trained model translates once, greedily and with a beam of 5. Each model trains on one thread.
book/results/translation.json gets every seed's figures, beside those that are there; "root" and
"chinese" are rows of it, and go on where they were stopped. With
`--processes 2` two models train at a time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.translation.chinese import chinese_settings, load_chinese, run_chinese
from benchmarks.translation.jobs import (
    BAKE_OFF_STEPS,
    BUDGETS,
    TranslationJob,
    bake_off_jobs,
    longer_jobs,
    rate_jobs,
)
from benchmarks.translation.root import ROOT_ARMS, root_settings, run_arm
from benchmarks.translation.task import TranslationTask
from benchmarks.translation.training import run_job
from benchmarks.tuning import run_missing
from benchmarks.worker_pool import worker_pool
from utils.console import make_output_safe

JOB_PARTS = ("bake-off", "longer", "rates")
ROW_PARTS = ("root", "chinese")


def plan_jobs(options: argparse.Namespace) -> dict[str, TranslationJob]:
    """Return the jobs of a part of the benchmark, by their names in the results."""
    if options.part == "longer":
        jobs = longer_jobs(options.budgets, options.seeds)
    elif options.part == "rates":
        jobs = rate_jobs(options.models)
    else:
        jobs = bake_off_jobs(options.models, options.seeds)
    if options.steps is not None:
        jobs = {name: replace(job, steps=options.steps) for name, job in jobs.items()}
    return jobs


def run_jobs(
    jobs: Mapping[str, TranslationJob], run: result_files.Run, *, processes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train and test the models of all jobs.

    Parameters
    ----------
    jobs
        The jobs by their names in the results.
    run
        The run of the benchmark.
    processes
        How many models to train at a time. One is trained in this process, several in processes of
        their own.

    Yields
    ------
    name : str
        The name of a job.
    results : dict
        What is stored about it.
    """
    if processes == 1:
        for name, job in jobs.items():
            yield name, run_job(job, run)
        return
    with worker_pool(processes) as pool:
        futures = {name: pool.submit(run_job, job, run) for name, job in jobs.items()}
        for name, future in futures.items():
            yield name, future.result()


def write_rows(options: argparse.Namespace, run: result_files.Run) -> None:
    """Run the seeds of the parts "root" or "chinese" that the file lacks.

    Parameters
    ----------
    options
        The options of the command line.
    run
        The run of the benchmark.
    """
    torch.set_num_threads(1)
    limit = {} if options.steps is None else {"steps": options.steps}
    if options.part == "root":
        task = TranslationTask.load()
        rows = result_files.SeedRows(options.out, run, part="root", origin=task.corpus.origin)
        for name, arm in ROOT_ARMS.items():
            settings = root_settings(arm, **limit)
            run_missing(
                rows,
                name,
                seeds=options.seeds,
                settings=settings,
                run=partial(run_arm, arm, task, **limit),
            )
        return
    corpus = load_chinese()
    rows = result_files.SeedRows(options.out, run, part="chinese", origin=corpus.origin)
    run_seed = partial(run_chinese, corpus, **limit)
    settings = chinese_settings(**limit)
    run_missing(rows, "LSTM + attention", seeds=options.seeds[:1], settings=settings, run=run_seed)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("translation", __doc__)
    parser.add_argument("part", choices=(*JOB_PARTS, *ROW_PARTS))
    command_line.add_seeds(parser, [0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=BAKE_OFF_STEPS, default=list(BAKE_OFF_STEPS))
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="of each model, instead of its own"
    )
    parser.add_argument(
        "--processes",
        type=command_line.positive_integer,
        default=1,
        help="models trained at a time",
    )
    options = parser.parse_args(arguments)
    run = result_files.Run.start("translation", arguments)
    if options.part in ROW_PARTS:
        write_rows(options, run)
        return
    for name, results in run_jobs(plan_jobs(options), run, processes=options.processes):
        result_files.write_results(options.out, {name: results}, keep_others=True)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
