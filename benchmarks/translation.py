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
all in the bake-off. AdamW trains all weights, Muon the matrices of the Transformer, which has a
second row where AdamW alone trains it. Nothing is chosen on the test set (test_2016_flickr), which
each trained model translates once, greedily and with a beam of 5. Each model trains on one thread.
book/results/translation.json gets every seed's figures, beside those that are there; `--parallel 2`
trains two models at a time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks import record
from benchmarks.translation_recipes import (
    BAKE_OFF_STEPS,
    BUDGETS,
    RECIPES,
    Job,
    bake_off_jobs,
    longer_jobs,
    rate_jobs,
)
from benchmarks.translation_task import MAX_LENGTH, TranslationTask
from utils.data.examples import SentencePair
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.decoding.search import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import perplexity
from utils.metrics.text import bleu, bleu_interval, chrf
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.state import History

BATCH_SIZE, EVAL_BATCH_SIZE = 64, 128  # sentences
LABEL_SMOOTHING = 0.1
VALIDATIONS = 10  # in a run
LENGTH_BOUNDS = (0, 8, 10, 12, 14, 17, 100)  # of the classes of source lengths, in words
PARTS = ("bake-off", "longer", "rates")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its best weights on validation.

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
        """The validation loss of its weights, in nats per token."""
        return min(loss for _, loss in self.history.valid_losses)


def train_model(job: Job, task: TranslationTask) -> TrainedModel:
    """Train the model of a job."""
    recipe = RECIPES[job.model]
    seed_everything(job.seed)
    model = share_embeddings(recipe.build(len(task.tokenizer), dropout=job.dropout))
    config = TrainConfig(
        steps=job.steps,
        learning_rate=job.learning_rate,
        label_smoothing=LABEL_SMOOTHING,
        evaluate_every=max(1, job.steps // VALIDATIONS),
    )
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=job.seed)
    valid = pair_eval_batches(task.valid, batch_size=EVAL_BATCH_SIZE)
    start = time.process_time()
    history = fit(model, batches, config, valid=valid, progress=False, optimizer=recipe.optimizer)
    return TrainedModel(model, history, time.process_time() - start)


def translate_sources(
    model: EncoderDecoder,
    pairs: Sequence[SentencePair],
    task: TranslationTask,
    beam: BeamConfig | None,
) -> list[str]:
    """Translate the sources of sentence pairs, greedily if `beam` is None."""
    sources = [source for source, _ in pairs]
    return translate(model, sources, task.tokenizer, beam=beam, max_length=MAX_LENGTH)


def choose_ranking(
    model: EncoderDecoder, task: TranslationTask, rankings: Sequence[BeamConfig]
) -> BeamConfig:
    """Return the ranking with the best BLEU on the validation sentences."""
    if len(rankings) == 1:
        return rankings[0]
    references = [reference for _, reference in task.corpus.valid]
    return max(
        rankings,
        key=lambda beam: bleu(translate_sources(model, task.corpus.valid, task, beam), references),
    )


def score_on_test(
    model: EncoderDecoder, task: TranslationTask, beam: BeamConfig | None
) -> dict[str, Any]:
    """Translate the test set, greedily if `beam` is None, and return what is stored about it."""
    references = [reference for _, reference in task.corpus.test]
    start = time.process_time()
    answers = translate_sources(model, task.corpus.test, task, beam)
    seconds = time.process_time() - start
    interval = bleu_interval(answers, references)
    return {
        "bleu": interval.score,
        "low": interval.low,
        "high": interval.high,
        "signature": interval.signature,
        "lowercased": bleu(answers, references, lowercase=True),
        "chrf": chrf(answers, references),
        "by length": [asdict(row) for row in bleu_by_length(answers, task.corpus.test)],
        "sentences a second": len(answers) / seconds,
        "answers": answers,
        "ranking": stored_ranking(beam),
    }


def stored_ranking(beam: BeamConfig | None) -> dict[str, float]:
    """Return how a ranking is stored: its options that are not without effect, by their names."""
    if beam is None:
        return {}
    if not beam.token_bonus:
        return {"alpha": beam.alpha}
    return {"alpha": beam.alpha, "bonus": beam.token_bonus, "patience": beam.patience}


@dataclass(frozen=True)
class LengthClass:
    """The test sentences whose sources have so many words.

    Parameters
    ----------
    low, high
        The smallest number of words, and the smallest that is too large.
    sentences
        The number of sentences.
    bleu
        The BLEU of their translations; None without sentences.
    """

    low: int
    high: int
    sentences: int
    bleu: float | None


def bleu_by_length(answers: Sequence[str], pairs: Sequence[SentencePair]) -> list[LengthClass]:
    """Compute BLEU for each class of source lengths.

    Parameters
    ----------
    answers
        The translation of each source.
    pairs
        Sources and references.
    """
    rows = []
    for low, high in pairwise(LENGTH_BOUNDS):
        inside = [i for i, (source, _) in enumerate(pairs) if low <= len(source.split()) < high]
        references = [pairs[i][1] for i in inside]
        score = bleu([answers[i] for i in inside], references) if inside else None
        rows.append(LengthClass(low, high, len(inside), score))
    return rows


def run_job(job: Job, run: record.Run) -> dict[str, Any]:
    """Train and test one model in a process of its own, and return what is stored about it."""
    torch.set_num_threads(1)
    run, task = run.restarted(), TranslationTask.load()
    trained = train_model(job, task)
    history = trained.history
    results: dict[str, Any] = {
        "parameters": count_parameters(trained.model),
        "steps": job.steps,
        "rate": job.learning_rate,
        "dropout": job.dropout,
        "curve": history.valid_losses,
        "tokens": history.tokens,
        "wall": history.seconds,
        "processor": trained.processor_seconds,
        "valid perplexity": perplexity(trained.valid_loss, 1),
    }
    figure = f"validation loss {trained.valid_loss:.4g}"
    if job.rankings:
        results["test"] = score_trained(trained.model, task, job)
        figure = f"BLEU {results['test']['beam']['bleu']:.4g}"
    rate = f"rate {job.learning_rate:g}"
    print(f"{job.model}, seed {job.seed}, {rate}, {job.steps} steps: {figure}", flush=True)
    results["provenance"] = run.provenance(seeds=[job.seed], origin=task.corpus.origin)
    return results


def score_trained(model: EncoderDecoder, task: TranslationTask, job: Job) -> dict[str, Any]:
    """Test a model of a job greedily and with the best of its rankings."""
    ranking = choose_ranking(model, task, job.rankings)
    results = {
        "greedy": score_on_test(model, task, None),
        "beam": score_on_test(model, task, ranking),
    }
    if job.seed:  # the answers of one seed are enough for examples and paired tests
        for result in results.values():
            del result["answers"]
    return results


def plan_jobs(options: argparse.Namespace) -> dict[str, Job]:
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
    parser = record.command_line("translation", __doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=BAKE_OFF_STEPS, default=list(BAKE_OFF_STEPS))
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--steps", type=int, help="of each model, instead of its own")
    parser.add_argument("--parallel", type=int, default=1, help="models trained at a time")
    options = parser.parse_args(arguments)
    run = record.Run.start("translation", arguments)
    with ProcessPoolExecutor(options.parallel, mp_context=get_context("spawn")) as pool:
        jobs = plan_jobs(options)
        futures = {name: pool.submit(run_job, job, run) for name, job in jobs.items()}
        for name, future in futures.items():
            record.write_results(options.out, {name: future.result()}, keep_others=True)


if __name__ == "__main__":
    main(sys.argv[1:])
