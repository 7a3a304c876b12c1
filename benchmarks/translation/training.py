"""Training of one encoder–decoder of the benchmark ``translation``, and what is stored about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import result_files
from benchmarks.translation.evaluation import evaluate_trained
from benchmarks.translation.jobs import TranslationJob
from benchmarks.translation.recipes import RECIPES
from benchmarks.translation.task import TranslationTask
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import perplexity
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_objective

BATCH_SIZE, EVAL_BATCH_SIZE = 64, 128  # sentences
LABEL_SMOOTHING = 0.1
NUM_VALIDATIONS = 10  # in a run


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

    model: EncoderDecoder[Any]
    history: History
    processor_seconds: float

    @property
    def valid_loss(self) -> float:
        """The validation loss of its parameters, in nats per token."""
        return self.history.best_loss


def run_job(job: TranslationJob, run: result_files.Run) -> dict[str, Any]:
    """Train and test one model on one thread, and return what is stored about it.

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
        "num_parameters": count_parameters(trained.model),
        "steps": job.steps,
        "learning_rate": job.learning_rate,
        "dropout": job.dropout,
        "curve": history.validations,
        "num_tokens": history.num_tokens,
        "wall_seconds": history.seconds,
        "processor_seconds": trained.processor_seconds,
        "valid_perplexity": perplexity(trained.valid_loss, 1),
    }
    figure = f"validation loss {trained.valid_loss:.4g}"
    if job.rankings:
        results["test"] = evaluate_trained(trained.model, task, job)
        figure = f"BLEU {results['test']['beam']['bleu']:.4g}"
    rate = f"rate {job.learning_rate:g}"
    print(f"{job.model}, seed {job.seed}, {rate}, {job.steps} steps: {figure}", flush=True)
    results["provenance"] = run.provenance(seeds=[job.seed], origin=task.corpus.origin)
    return results


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
        validate_every=max(1, job.steps // NUM_VALIDATIONS),
    )
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=job.seed)
    valid = pair_eval_batches(task.valid, batch_size=EVAL_BATCH_SIZE)
    start = time.process_time()
    history = fit(
        model,
        batches,
        config,
        valid=valid,
        progress=False,
        make_optimizer=recipe.make_optimizer,
        objective=token_objective(label_smoothing=LABEL_SMOOTHING),
    )
    history.raise_if_interrupted()
    return TrainedModel(model, history, time.process_time() - start)
