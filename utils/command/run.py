"""Training a model as the command line asks for it: ``python -m utils.training``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any

from torch import nn

from utils.command.catalogue import build_model
from utils.command.job import Job
from utils.command.parser import PROGRAM, parse
from utils.command.run_folder import (
    CHECKPOINTS,
    WEIGHTS_FILE,
    can_resume,
    load_tokenizer,
    write_description,
)
from utils.data.batches import Batch
from utils.data.corpus import DataError
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import bits_per_character, perplexity
from utils.runtime import seed_everything
from utils.training.checkpoint import save_checkpoint
from utils.training.distributed import ProcessGroup, process_group
from utils.training.evaluation import count_tokens
from utils.training.loop import fit
from utils.training.objectives import BatchStream
from utils.training.optimizers import OPTIMIZERS
from utils.training.state import History


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line asks for.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of this process.

    Returns
    -------
    exit_code : int
        0 if all went well, 1 if the loss became infinite, 2 if the command cannot be carried out.
    """
    model, options = parse(arguments)
    try:
        job = Job.from_options(model, options)
        with (
            process_group(job.run.strategy, job.run.device) as processes,
            _output_of_first_process(processes),
        ):
            train(job, processes)
    except (ValueError, OSError, DataError) as error:
        print_error(model, error)
        return 2
    except FloatingPointError as error:
        print_error(model, error)
        return 1
    return 0


def print_error(model: str, error: Exception) -> None:
    """Print an error as one line on stderr, with the process if it is not the first.

    Parameters
    ----------
    model
        Name of the model, for the line.
    error
        The error to report.
    """
    rank = os.environ.get("RANK", "0")
    process = model if rank == "0" else f"{model}, process {rank}"
    print(f"{PROGRAM} {process}: error: {' '.join(str(error).split())}", file=sys.stderr)


def train(job: Job, processes: ProcessGroup) -> None:
    """Read the data, build the model, train it, and leave its best parameters in the run's folder.

    Parameters
    ----------
    job
        The model, its data and its training.
    processes
        The processes that train together.

    Raises
    ------
    ValueError
        If an option does not suit the data, the model, the processes or an earlier run in the same
        folder.
    FloatingPointError
        If the loss is no longer finite.
    """
    _check_batch_size(job, processes)
    resumes = can_resume(job)
    corpus = job.data.load_corpus()
    tokenizer = load_tokenizer(job.folder) if resumes else job.data.train_tokenizer(corpus)
    batches, valid = job.data.batches(corpus, tokenizer, seed=job.run.seed)
    seed_everything(job.run.seed)
    model = build_model(job.model, job.model_options, vocab_size=len(tokenizer))
    model = model.to(processes.device)
    fingerprint = [resumes, len(tokenizer), len(valid), int(batches[0].targets.sum())]
    processes.check_same("data", fingerprint)
    if processes.rank == 0:
        write_description(job, tokenizer)
    else:
        seed_everything(job.run.seed + processes.rank)  # each process has its own dropout
    print(
        f"{job.model}: {count_parameters(model):,} parameters; "
        f"{len(tokenizer):,} {job.data.tokenizer} of {corpus.name} ({corpus.origin}); "
        f"{processes.world_size} x {processes.device.type}, {processes.strategy}"
        f"{f'; resumes from {job.folder}' if resumes else ''}",
        flush=True,
    )
    history = _fit(job, model, batches, valid, processes)
    parameters = processes.full_state_dict(model.state_dict())
    if processes.rank == 0:
        save_checkpoint(job.folder / WEIGHTS_FILE, {"parameters": parameters})
    num_characters = sum(map(len, job.data.target_texts(corpus.valid)))
    report(history, valid, num_characters=num_characters)
    print(f"weights of step {history.best_step} in {job.folder / WEIGHTS_FILE}", flush=True)


def report(history: History, valid: Sequence[Batch], *, num_characters: int) -> None:
    """Print the lowest validation loss in the three usual measures, and the speed.

    Parameters
    ----------
    history
        The result of `fit`.
    valid
        The validation batches.
    num_characters
        Number of characters in the texts that they predict.
    """
    if history.valid_losses:
        num_tokens = sum(map(count_tokens, valid))
        nll = min(loss for _, loss in history.valid_losses) * num_tokens
        print(
            f"validation: {nll / num_tokens:.4f} nats a token, perplexity "
            f"{perplexity(nll, num_tokens):.2f}, "
            f"{bits_per_character(nll, num_characters):.3f} bits a character"
        )
    print(
        f"{'interrupted after' if history.interrupted else 'trained'} {len(history.losses)} "
        f"steps, {history.tokens_per_second:,.0f} tokens a second"
    )


def _check_batch_size(job: Job, processes: ProcessGroup) -> None:
    """Raise ValueError if the processes cannot share a batch equally."""
    if job.data.batch_size % processes.world_size:
        raise ValueError(
            f"batch_size must be divisible by {processes.world_size} processes, "
            f"got {job.data.batch_size}"
        )


def _output_of_first_process(processes: ProcessGroup) -> AbstractContextManager[Any]:
    """Return a context in which only the first process prints to stdout."""
    return nullcontext() if processes.rank == 0 else redirect_stdout(io.StringIO())


def _fit(
    job: Job,
    model: nn.Module,
    batches: BatchStream,
    valid: Sequence[Batch],
    processes: ProcessGroup,
) -> History:
    """Train the model as the job asks for it."""
    return fit(
        model,
        batches,
        job.training,
        valid=valid,
        checkpoint=job.folder / CHECKPOINTS[job.run.strategy],
        progress=job.run.progress and processes.rank == 0 and sys.stderr.isatty(),
        make_optimizer=OPTIMIZERS[job.run.optimizer],
        processes=processes,
        on_validation=_print_validation,
    )


def _print_validation(history: History) -> None:
    """Print a line for each validation."""
    step, loss = history.valid_losses[-1]
    print(f"step {step}: loss {history.losses[-1]:.4f}, validation {loss:.4f}", flush=True)
