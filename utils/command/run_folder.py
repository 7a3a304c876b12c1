"""The folder of a run: what `utils.command.run` leaves there, and how it is read again.

A run writes a description of what it trains, its tokenizer, its checkpoint and, at its end, the
weights of the best validation. `load_run` gives the trained model back:

    model, tokenizer = load_run("runs/gpt")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from utils.command.catalogue import build_model
from utils.command.job import Job
from utils.command.training_data import TOKENIZERS
from utils.data.tokenizers import Tokenizer
from utils.files import write_text_atomically
from utils.training.checkpoint import load_checkpoint

DESCRIPTION_FILE = "model.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"
CHECKPOINTS = {"data": "checkpoint.safetensors", "shard": "checkpoint"}  # by strategy
DESCRIPTION_KEYS = {"model", "model_options", "data", "optimizer", "seed", "vocab_size"}


def load_run(folder: str | Path) -> tuple[nn.Module, Tokenizer]:
    """Load the model and the tokenizer that a run has left in a folder.

    Parameters
    ----------
    folder
        The folder, such as "runs/gpt".

    Returns
    -------
    model : torch.nn.Module
        The model with the parameters of the best validation, in evaluation mode on the CPU.
    tokenizer : Tokenizer
        Its tokenizer.

    Raises
    ------
    FileNotFoundError
        If no run has ended there.
    ValueError
        If a file in it is damaged or of an earlier version of the book.
    """
    folder = Path(folder)
    description = read_description(folder)
    model = build_model(
        description["model"], description["model_options"], vocab_size=description["vocab_size"]
    )
    model.load_state_dict(load_checkpoint(folder / WEIGHTS_FILE)["parameters"])
    return model.eval(), load_tokenizer(folder)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer that a run has left in `folder`."""
    name = read_description(folder)["data"]["tokenizer"]
    return TOKENIZERS[name].load(folder / TOKENIZER_FILE)


def can_resume(job: Job) -> bool:
    """Return True if the run's folder has a checkpoint of this job, False if it has none.

    Raises
    ------
    ValueError
        If the checkpoint is one of another model, of other data or of another strategy.
    """
    strategies = [name for name, file in CHECKPOINTS.items() if (job.folder / file).exists()]
    if not strategies:
        return False
    saved = _options({**read_description(job.folder), "strategy": strategies[0]})
    expected = _options({**job.description(), "strategy": job.run.strategy})
    for name, value in saved.items():
        if expected.get(name) != value:
            raise ValueError(
                f"{job.folder} has a checkpoint with {name}={value!r}, not "
                f"{expected.get(name)!r}: expected the same options, or another folder as --out"
            )
    return True


def write_description(job: Job, tokenizer: Tokenizer) -> None:
    """Write what a later run or `load_run` needs to know, and the tokenizer.

    Parameters
    ----------
    job
        The job of the run.
    tokenizer
        The tokenizer of its data.
    """
    description = {**job.description(), "vocab_size": len(tokenizer)}
    write_text_atomically(job.folder / DESCRIPTION_FILE, json.dumps(description, indent=1))
    tokenizer.save(job.folder / TOKENIZER_FILE)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description that a run has left in a folder.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    description : dict
        That of `Job.description`, and the size of the vocabulary.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is damaged or of an earlier version of the book.
    """
    path = folder / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not the description of a run: {error}") from error
    if set(description) != DESCRIPTION_KEYS:
        raise ValueError(
            f"{path} was written by another version of the book: expected a description with "
            f"{', '.join(sorted(DESCRIPTION_KEYS))}; train the model anew in another folder"
        )
    return description


def _options(description: dict[str, Any]) -> dict[str, Any]:
    """Return the options in the description of a run by name, the model's name first."""
    first = {name: description[name] for name in ("model", "optimizer", "strategy")}
    others = {**description["model_options"], **description["data"], "seed": description["seed"]}
    return {**first, **others}
