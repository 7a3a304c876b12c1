"""Training a model as the command line asks for it: ``python -m utils.training``."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any, NamedTuple, TextIO

import torch
from torch import nn

from utils.command.catalogue import build_model
from utils.command.job import Job
from utils.command.parser import PROGRAM, parse
from utils.command.run_folder import (
    CHECKPOINTS,
    WEIGHTS_FILE,
    can_resume,
    check_corpus,
    load_tokenizer,
    read_description,
    remove_leftovers,
    write_description,
)
from utils.data.batches import Batch
from utils.data.corpora import Corpus
from utils.data.errors import DataError
from utils.data.tokenizers import Tokenizer
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import bits_per_character, perplexity
from utils.runtime import seed_everything, use_full_precision
from utils.training.checkpoint import lock_run
from utils.training.distributed import Processes, process_group
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import count_tokens, token_objective
from utils.training.optimizers import OPTIMIZERS
from utils.training.protocols import BatchStream
from utils.training.tensor_file import write_tensor_file
from utils.training.training_run import checked_optimizer

# Of torch, about memory that the machine lacks, and about sizes of 64 bits and more.
_MESSAGES_OF_EXHAUSTED_MEMORY = (
    "can't allocate memory",
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line asks for.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of this process.

    Returns
    -------
    exit_code : int
        One of those in ``utils.command.parser.EXIT_CODES``.
    """
    model = ""
    try:
        model, options = parse(arguments)
        job = Job.from_options(model, options)
        use_full_precision()
        with (
            process_group(job.run.strategy, job.run.device) as processes,
            _output_of_first_process(processes),
        ):
            history = train(job, processes)
    except KeyboardInterrupt:
        print(f"{PROGRAM} {model}".rstrip() + ": interrupted", file=sys.stderr)
        return _signal_code(signal.SIGINT)
    except ValueError as error:
        print_error(model, error)
        return 2
    except (FloatingPointError, OSError, DataError) as error:
        print_error(model, error)
        return 1
    except (MemoryError, RuntimeError, TypeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]  # torch adds where in its code
        print_error(model, MemoryError(f"there is not enough memory: {reason}"))
        return 1
    return _signal_code(history.stop_signal) if history.interrupted else 0


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
    name = f"{PROGRAM} {process}".rstrip()
    print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)


def train(job: Job, processes: Processes) -> History:
    """Read the data, build the model, train it, and leave its best parameters in the run's folder.

    Parameters
    ----------
    job
        The model, its data and its training.
    processes
        The processes that train together.

    Returns
    -------
    history : History
        What `fit` returned.

    Raises
    ------
    ValueError
        If an option does not suit the data, the model, the processes or an earlier run in the same
        folder, or if another run is writing there.
    FloatingPointError
        If the loss is no longer finite.
    OSError
        If a file cannot be read or written.
    """
    _check_batch_size(job, processes)
    with lock_run(job.folder / "run", processes):
        if processes.rank == 0:
            remove_leftovers(job.folder)
        return _train(job, processes)


def _train(job: Job, processes: Processes) -> History:
    """Do the work of `train` in a folder to which no other run writes."""
    resumes = can_resume(job)
    materials = _prepare(job, processes, resumes=resumes)
    if processes.rank == 0 and not resumes:
        write_description(job, materials.corpus, materials.tokenizer)
    if processes.rank:
        seed_everything(job.run.seed + processes.rank)  # each process has its own dropout
    _print_beginning(job, materials, processes, resumes=resumes)
    history = _fit(job, materials, processes)
    _leave_weights(job, materials.model, processes)
    num_characters = job.data.num_characters(materials.corpus.valid, materials.tokenizer)
    report(history, materials.valid, num_characters=num_characters)
    print(f"weights of step {history.best_step} in {job.folder / WEIGHTS_FILE}", flush=True)
    return history


class _Materials(NamedTuple):
    """What a run trains, and on what."""

    corpus: Corpus[Any]
    tokenizer: Tokenizer
    batches: BatchStream[Batch]
    valid: Sequence[Batch]
    model: nn.Module


def _prepare(job: Job, processes: Processes, *, resumes: bool) -> _Materials:
    """Read the data and build the model; raise ValueError if a part does not suit the others."""
    corpus = job.data.load_corpus()
    if resumes:
        check_corpus(job, corpus)
    tokenizer = load_tokenizer(job.folder) if resumes else job.data.train_tokenizer(corpus)
    batches, valid = job.data.batches(corpus, tokenizer, seed=job.run.seed)
    seed_everything(job.run.seed)
    model = build_model(job.model, job.model_options, vocab_size=len(tokenizer))
    model = model.to(processes.device)
    make_optimizer = OPTIMIZERS[job.run.optimizer]
    # refuses it before anything is written
    checked_optimizer(make_optimizer, model, job.training, strategy=job.run.strategy)
    fingerprint = [resumes, len(tokenizer), len(valid), int(batches[0].targets.sum())]
    processes.check_same("data", fingerprint)
    return _Materials(corpus, tokenizer, batches, valid, model)


def _print_beginning(
    job: Job, materials: _Materials, processes: Processes, *, resumes: bool
) -> None:
    """Print a line about the model, the data and the devices of a run."""
    corpus = materials.corpus
    parameters = f"{count_parameters(materials.model):,} parameters"
    data = f"{len(materials.tokenizer):,} {job.data.tokenizer} of {corpus.name} ({corpus.origin})"
    devices = f"{processes.world_size} x {processes.device.type}, {processes.strategy}"
    resumption = f"; resumes from {job.folder}" if resumes else ""
    print(f"{job.model}: {parameters}; {data}; {devices}{resumption}", flush=True)


def _leave_weights(job: Job, model: nn.Module, processes: Processes) -> None:
    """Write the weights of the best validation, with the description that they belong to."""
    weights = processes.full_state_dict(model.state_dict())
    if processes.rank == 0:
        content = {"description": read_description(job.folder), "parameters": weights}
        write_tensor_file(job.folder / WEIGHTS_FILE, content)


def report(history: History, valid: Sequence[Batch], *, num_characters: int | None) -> None:
    """Print the lowest validation loss in the three usual measures, and the speed.

    The loss of a running text depends on the windows in which it is read (see `evaluate`), so that
    their length belongs to the result.

    Parameters
    ----------
    history
        The result of `fit`.
    valid
        The validation batches.
    num_characters
        Number of characters in the tokens that they predict; None if the tokens do not spell the
        text, so that bits per character mean nothing.
    """
    if history.validations:
        num_tokens = sum(map(count_tokens, valid))
        nll = history.best_loss * num_tokens
        bits = (
            "no bits per character, as its tokens do not spell the text"
            if not num_characters
            else f"{bits_per_character(nll, num_characters):.3f} bits per character"
        )
        print(
            f"validation: {nll / num_tokens:.4f} nats per token, perplexity "
            f"{perplexity(nll, num_tokens):.2f}, {bits}{_window_note(valid)}"
        )
    print(
        f"{'interrupted after' if history.interrupted else 'trained'} {len(history.losses)} "
        f"steps, {history.tokens_per_second:,.0f} tokens per second"
    )


def _window_note(valid: Sequence[Batch]) -> str:
    """Return how much of a running text the model saw at once; "" for sentence pairs."""
    lengths = [batch.inputs.shape[1] for batch in valid if batch.source is None]
    if not lengths:
        return ""
    return f" (in separate windows of {max(lengths)} tokens)"


def _signal_code(signal_number: int) -> int:
    """Return the exit code of a program that a signal ended, as shells give it."""
    return 128 + signal_number


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory is exhausted, on the GPU or the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(message in str(error) for message in _MESSAGES_OF_EXHAUSTED_MEMORY)


def _check_batch_size(job: Job, processes: Processes) -> None:
    """Raise ValueError if the processes cannot share a batch equally."""
    if job.data.batch_size % processes.world_size:
        raise ValueError(
            f"batch_size must be divisible by {processes.world_size} processes, "
            f"got {job.data.batch_size}"
        )


def _output_of_first_process(processes: Processes) -> AbstractContextManager[Any]:
    """Return a context in which only the first process prints to stdout."""
    return nullcontext() if processes.rank == 0 else redirect_stdout(io.StringIO())


def _fit(job: Job, materials: _Materials, processes: Processes) -> History:
    """Train the model as the job asks for it."""
    return fit(
        materials.model,
        materials.batches,
        job.training,
        valid=materials.valid,
        checkpoint=job.folder / CHECKPOINTS[job.run.strategy],
        progress=job.run.progress and processes.rank == 0 and _is_terminal(sys.stderr),
        make_optimizer=OPTIMIZERS[job.run.optimizer],
        objective=token_objective(label_smoothing=job.run.label_smoothing),
        processes=processes,
        on_validation=_print_validation,
    )


def _is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal; a closed one is None."""
    return stream is not None and stream.isatty()


def _print_validation(history: History) -> None:
    """Print a line for each validation."""
    step, loss = history.validations[-1]
    print(f"step {step}: loss {history.losses[-1]:.4f}, validation {loss:.4f}", flush=True)
