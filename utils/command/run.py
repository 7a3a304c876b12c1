"""Training a model as the command line asks for it, and loading what a run has left."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from torch import nn

from utils.command.catalogue import TOKENIZERS, build_model
from utils.command.job import Job
from utils.command.parser import PROGRAM, parse
from utils.data.batches import Batch
from utils.data.corpora import Corpus
from utils.data.files import write_text_atomically
from utils.data.registry import DataError
from utils.data.tokenizers import Tokenizer
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import bits_per_character, perplexity
from utils.runtime import seed_everything
from utils.training.checkpoint import load_checkpoint, save_checkpoint
from utils.training.distributed import ProcessGroup, process_group
from utils.training.evaluation import count_tokens
from utils.training.loop import fit
from utils.training.objectives import BatchStream
from utils.training.optimizers import OPTIMIZERS
from utils.training.state import History

# The files in the folder of a run.
DESCRIPTION_FILE = "model.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"
CHECKPOINTS = {"data": "checkpoint.safetensors", "shard": "checkpoint"}  # by strategy


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line asks for.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of this process.

    Returns
    -------
    int
        The exit code: 0 if all went well, 1 if the loss became infinite, 2 if the command cannot be
        carried out.
    """
    model, options = parse(arguments)
    try:
        job = Job.from_options(model, options)
        with (
            process_group(job.run.parallel, job.run.device) as processes,
            _output_of_first_process(processes),
        ):
            train(job, processes)
    except (ValueError, OSError, DataError) as error:
        return report_error(model, error, exit_code=2)
    except FloatingPointError as error:
        return report_error(model, error, exit_code=1)
    return 0


def report_error(model: str, error: Exception, *, exit_code: int) -> int:
    """Print an error as one line on stderr, with the process if not the first; return the code.

    Parameters
    ----------
    model
        Name of the model, for the line.
    error
        The error to report.
    exit_code
        The code to return.

    Returns
    -------
    int
        `exit_code`.
    """
    rank = os.environ.get("RANK", "0")
    process = model if rank == "0" else f"{model}, process {rank}"
    print(f"{PROGRAM} {process}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return exit_code


def train(job: Job, processes: ProcessGroup) -> None:
    """Read the data, build the model, train it, and leave its best weights in the run's folder.

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
    if job.data.batch_size % processes.world_size:
        raise ValueError(
            f"batch_size must be divisible by {processes.world_size} processes, "
            f"got {job.data.batch_size}"
        )
    resumes = compare(job)
    corpus = job.data.read()
    tokenizer = _load_tokenizer(job.folder) if resumes else job.data.train_tokenizer(corpus)
    batches, valid = job.data.batches(corpus, tokenizer)
    seed_everything(job.data.seed)
    model = build_model(job.model, job.model_options, vocab_size=len(tokenizer))
    model = model.to(processes.device)
    fingerprint = [resumes, len(tokenizer), len(valid), int(batches[0].targets.sum())]
    processes.check_same("data", fingerprint)
    if processes.rank == 0:
        _write_description(job, tokenizer)
    else:
        seed_everything(job.data.seed + processes.rank)  # each process has its own dropout
    print(
        f"{job.model}: {count_parameters(model):,} weights; "
        f"{_describe_data(job, corpus, tokenizer)}; "
        f"{processes.world_size} x {processes.device.type}, {processes.strategy}"
        f"{f'; resumes from {job.folder}' if resumes else ''}",
        flush=True,
    )
    history = _fit(job, model, batches, valid, processes)
    weights = processes.full_state_dict(model.state_dict())
    if processes.rank == 0:
        save_checkpoint(job.folder / WEIGHTS_FILE, {"weights": weights})
    report(history, valid, characters=sum(map(len, job.data.target_texts(corpus.valid))))
    print(f"weights of step {history.best_step} in {job.folder / WEIGHTS_FILE}", flush=True)


def report(history: History, valid: Sequence[Batch], *, characters: int) -> None:
    """Print the lowest validation loss in the three usual measures, and the speed.

    Parameters
    ----------
    history
        The result of `fit`.
    valid
        The validation batches.
    characters
        Number of characters in the texts that they predict.
    """
    if history.valid_losses:
        tokens = sum(map(count_tokens, valid))
        nll = min(loss for _, loss in history.valid_losses) * tokens
        print(
            f"validation: {nll / tokens:.4f} nats a token, perplexity "
            f"{perplexity(nll, tokens):.2f}, "
            f"{bits_per_character(nll, characters):.3f} bits a character"
        )
    print(
        f"{'interrupted after' if history.interrupted else 'trained'} {len(history.losses)} "
        f"steps, {history.tokens_per_second:,.0f} tokens a second"
    )


def load_run(folder: str | Path) -> tuple[nn.Module, Tokenizer]:
    """Load the model and the tokenizer that a run has left in `folder`.

    Returns
    -------
    tuple
        The model with its best weights, in evaluation mode on the CPU, and the tokenizer.
    """
    folder = Path(folder)
    description = _read_description(folder)
    model = build_model(
        description["model"], description["model_options"], vocab_size=description["vocab_size"]
    )
    model.load_state_dict(load_checkpoint(folder / WEIGHTS_FILE)["weights"])
    return model.eval(), _load_tokenizer(folder)


def compare(job: Job) -> bool:
    """Return whether the run's folder has a checkpoint to resume from.

    Raises
    ------
    ValueError
        If the checkpoint is one of another model, of other data or of another strategy.
    """
    strategies = [name for name, file in CHECKPOINTS.items() if (job.folder / file).exists()]
    if not strategies:
        return False
    saved = _options({**_read_description(job.folder), "parallel": strategies[0]})
    expected = _options({**job.description(), "parallel": job.run.parallel})
    for name, value in saved.items():
        if expected.get(name) != value:
            raise ValueError(
                f"{job.folder} has a checkpoint with {name}={value!r}, not "
                f"{expected.get(name)!r}: expected the same options, or another folder as --out"
            )
    return True


def _options(description: dict[str, Any]) -> dict[str, Any]:
    """Return the options in the description of a run by name, the model's name first."""
    names = ("model", "optimizer", "parallel")
    others = {name: description[name] for name in names}
    return {**others, **description["model_options"], **description["data"]}


def _output_of_first_process(processes: ProcessGroup) -> AbstractContextManager[Any]:
    """Return a context in which only the first process prints to stdout."""
    return nullcontext() if processes.rank == 0 else redirect_stdout(io.StringIO())


def _describe_data(job: Job, corpus: Corpus[Any], tokenizer: Tokenizer) -> str:
    """Return the size of the vocabulary and the name of the corpus, for the first line."""
    return f"{len(tokenizer):,} {job.data.tokenizer} of {corpus.name} ({corpus.origin})"


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
        checkpoint=job.folder / CHECKPOINTS[job.run.parallel],
        progress=job.run.progress and processes.rank == 0 and sys.stderr.isatty(),
        optimizer=OPTIMIZERS[job.run.optimizer],
        processes=processes,
        on_validation=_print_validation,
    )


def _print_validation(history: History) -> None:
    """Print a line for each validation."""
    step, loss = history.valid_losses[-1]
    print(f"step {step}: loss {history.losses[-1]:.4f}, validation {loss:.4f}", flush=True)


def _write_description(job: Job, tokenizer: Tokenizer) -> None:
    """Write what a later run or `load_run` needs to know, and the tokenizer."""
    description = {**job.description(), "vocab_size": len(tokenizer)}
    write_text_atomically(job.folder / DESCRIPTION_FILE, json.dumps(description, indent=1))
    tokenizer.save(job.folder / TOKENIZER_FILE)


def _read_description(folder: Path) -> dict[str, Any]:
    """Read the description that a run has left in `folder`."""
    path = folder / DESCRIPTION_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not the description of a run: {error}") from error


def _load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer that a run has left in `folder`."""
    name = _read_description(folder)["data"]["tokenizer"]
    return TOKENIZERS[name].load(folder / TOKENIZER_FILE)
