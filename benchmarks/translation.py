"""Four encoder–decoders on Multi30k, German to English.

    python -m benchmarks.translation PART

    bake-off   four models of equal size, each for as many steps as one quiet core does in about
               five minutes; steps are counted, so that a busy machine gets the same models later
    longer     attention alone: between LSTMs 1,650 steps, five minutes of two quiet cores; between
               GRUs 5,400, fifteen, with more dropout; there beam search ranks its answers by the
               length penalty or by a bonus per token, whichever has the best BLEU on validation
    rates      each model of the bake-off from seed 0 with half and with twice its learning rate

All models share one vocabulary of 4,000 cased pieces, trained on the training text of both
languages, and one matrix for the embeddings of source and target and for the output. Batches hold
up to 64 sentences of equal source length; dropout, label smoothing and schedule are the same for
all in the bake-off. AdamW trains all parameters, Muon the matrices of the Transformer, which has a
second row where AdamW alone trains it. Nothing is chosen on the test set (test_2016_flickr), which
each trained model translates once, greedily and with a beam of 5. Each model trains on one thread.
book/results/translation.json gets every seed's figures, beside those that are there;
`--processes 2` trains two models at a time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks import record
from benchmarks.translation_evaluation import evaluate_trained
from benchmarks.translation_recipes import (
    BAKE_OFF_STEPS,
    BUDGETS,
    RECIPES,
    TranslationJob,
    bake_off_jobs,
    longer_jobs,
    rate_jobs,
)
from benchmarks.translation_task import TranslationTask
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import perplexity
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.state import History

BATCH_SIZE, EVAL_BATCH_SIZE = 64, 128  # sentences
LABEL_SMOOTHING = 0.1
NUM_VALIDATIONS = 10  # in a run
TRANSLATION_PARTS = ("bake-off", "longer", "rates")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its best parameters on validation.

    Parameters
    ----------
    model
        The model, in evaluation mode.
    history
        The losses of its training.
    processor_seconds
        The processor time of its training, validations included.
    """

    model: EncoderDecoder
    history: History
    processor_seconds: float

    @property
    def valid_loss(self) -> float:
        """The validation loss of its parameters, in nats per token."""
        return min(loss for _, loss in self.history.valid_losses)


def train_translator(job: TranslationJob, task: TranslationTask) -> TrainedModel:
    """Train the model of a job.

    Parameters
    ----------
    job
        The job.
    task
        The data.

    Returns
    -------
    trained : TrainedModel
        The model and the history of its training.
    """
    recipe = RECIPES[job.model]
    seed_everything(job.seed)
    model = share_embeddings(recipe.build(len(task.tokenizer), dropout=job.dropout))
    config = TrainConfig(
        steps=job.steps,
        learning_rate=job.learning_rate,
        label_smoothing=LABEL_SMOOTHING,
        evaluate_every=max(1, job.steps // NUM_VALIDATIONS),
    )
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=job.seed)
    valid = pair_eval_batches(task.valid, batch_size=EVAL_BATCH_SIZE)
    start = time.process_time()
    history = fit(
        model, batches, config, valid=valid, progress=False, make_optimizer=recipe.make_optimizer
    )
    return TrainedModel(model, history, time.process_time() - start)


def run_job(job: TranslationJob, run: record.Run) -> dict[str, Any]:
    """Train and test one model in a process of its own, and return what is stored about it.

    Parameters
    ----------
    job
        The job.
    run
        The run of the benchmark.

    Returns
    -------
    results : dict
        The figures of the job with their provenance.
    """
    torch.set_num_threads(1)
    run, task = run.restarted(), TranslationTask.load()
    trained = train_translator(job, task)
    history = trained.history
    results: dict[str, Any] = {
        "parameters": count_parameters(trained.model),
        "steps": job.steps,
        "rate": job.learning_rate,
        "dropout": job.dropout,
        "curve": history.valid_losses,
        "tokens": history.num_tokens,
        "wall": history.seconds,
        "processor": trained.processor_seconds,
        "valid perplexity": perplexity(trained.valid_loss, 1),
    }
    figure = f"validation loss {trained.valid_loss:.4g}"
    if job.rankings:
        results["test"] = evaluate_trained(trained.model, task, job)
        figure = f"BLEU {results['test']['beam']['bleu']:.4g}"
    rate = f"rate {job.learning_rate:g}"
    print(f"{job.model}, seed {job.seed}, {rate}, {job.steps} steps: {figure}", flush=True)
    results["provenance"] = run.provenance(seeds=[job.seed], origin=task.corpus.origin)
    return results


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


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("translation", __doc__)
    parser.add_argument("part", choices=TRANSLATION_PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=BAKE_OFF_STEPS, default=list(BAKE_OFF_STEPS))
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--steps", type=int, help="of each model, instead of its own")
    parser.add_argument("--processes", type=int, default=1, help="models trained at a time")
    options = parser.parse_args(arguments)
    run = record.Run.start("translation", arguments)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        jobs = plan_jobs(options)
        futures = {name: pool.submit(run_job, job, run) for name, job in jobs.items()}
        for name, future in futures.items():
            record.write_results(options.out, {name: future.result()}, keep_others=True)


if __name__ == "__main__":
    main(sys.argv[1:])
