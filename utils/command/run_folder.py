"""The folder of a run: what `utils.command.run` leaves there, and how it is read again.

A run writes a description of what it trains, its tokenizer, its checkpoint and, at its end, the
weights of the best validation. `load_trained_model` gives the trained model back:

    model, tokenizer = load_trained_model("runs/gpt")
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from utils.arguments import check_choice
from utils.command.catalogue import MODELS, build_model, check_model_options
from utils.command.job import Job
from utils.command.training_data import TOKENIZERS
from utils.data.corpora import Corpus
from utils.data.tokenizers import Tokenizer
from utils.files import as_path, remove_unfinished, write_text_atomically
from utils.training.distributed import Strategy
from utils.training.tensor_file import file_checksum, read_tensor_file

DESCRIPTION_FILE = "model.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"
CHECKPOINTS: dict[Strategy, str] = {"data": "checkpoint.safetensors", "shard": "checkpoint"}
# The keys of a description, with the types of their values.
DESCRIPTION_TYPES = {
    "model": str,
    "model_options": dict,
    "data": dict,
    "optimizer": str,
    "label_smoothing": float,
    "seed": int,
    "vocab_size": int,
    "corpus_checksum": str,
    "tokenizer_checksum": str,
}


def load_trained_model(folder: str | Path) -> tuple[Any, Tokenizer]:
    """Load the model and the tokenizer that a run has left in a folder.

    The model's type depends on the run: a `LanguageModel` or a `ConditionalLanguageModel` of
    ``utils.contract``. A type checker accepts it for both.

    Parameters
    ----------
    folder
        The folder, such as "runs/gpt".

    Returns
    -------
    model : LanguageModel or ConditionalLanguageModel
        The model with the parameters of the best validation, in evaluation mode on the CPU.
    tokenizer : Tokenizer
        The tokenizer that made the model's vocabulary.

    Raises
    ------
    FileNotFoundError
        If no run has ended there.
    ValueError
        If a file in the folder is damaged, of another run or of an earlier version of the book.
    """
    folder = as_path(folder)
    description = read_description(folder)
    saved = read_tensor_file(folder / WEIGHTS_FILE)
    if saved.get("description") != description:
        raise ValueError(
            f"{folder / WEIGHTS_FILE} does not belong to {DESCRIPTION_FILE} beside it: end the run "
            "by the same command again, or train again in another folder"
        )
    model = build_model(
        description["model"], description["model_options"], vocab_size=description["vocab_size"]
    )
    model.load_state_dict(saved["parameters"])
    return model.eval(), load_tokenizer(folder)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer that a run has left in `folder`.

    Raises
    ------
    FileNotFoundError
        If the folder has no tokenizer.
    ValueError
        If a file in the folder is damaged, of another run or of an earlier version of the book.
    """
    description = read_description(folder)
    path = folder / TOKENIZER_FILE
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: use a copy of it, or train again in another folder"
        )
    if path.is_file() and file_checksum(path) != description["tokenizer_checksum"]:
        raise ValueError(
            f"{path} is damaged or belongs to another run: it does not have the checksum in "
            f"{DESCRIPTION_FILE} beside it; use a copy of it, or train again in another folder"
        )
    tokenizer: Tokenizer = TOKENIZERS[description["data"]["tokenizer"]].load(path)
    if len(tokenizer) != description["vocab_size"]:
        raise ValueError(
            f"{folder / DESCRIPTION_FILE} is damaged: vocab_size is {description['vocab_size']}, "
            f"where {TOKENIZER_FILE} beside it has {len(tokenizer)} tokens"
        )
    return tokenizer


def can_resume(job: Job) -> bool:
    """Return True if the run's folder has a checkpoint of this job, False if it has none.

    The names of files of the user's own may differ: `check_corpus` compares their texts.

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
        if name == "file" and None not in (value, expected.get(name)):
            continue
        if expected.get(name) != value:
            raise ValueError(
                f"{job.folder} has a checkpoint with {name}={value!r}, not "
                f"{expected.get(name)!r}: expected the same options, or another folder as --out"
            )
    return True


def check_corpus(job: Job, corpus: Corpus[Any]) -> None:
    """Check that a run is resumed with the data with which it began.

    Parameters
    ----------
    job
        The job of the run.
    corpus
        Its data as they are now.

    Raises
    ------
    ValueError
        If the data are others: a file that was changed, or a stand-in for a real corpus.
    """
    if read_description(job.folder)["corpus_checksum"] != _corpus_checksum(job, corpus):
        raise ValueError(
            f"{job.folder} has a checkpoint of other data than {corpus.name} ({corpus.origin}) is "
            "now: expected the same text, or another folder as --out"
        )


def write_description(job: Job, corpus: Corpus[Any], tokenizer: Tokenizer) -> None:
    """Write the tokenizer, and what a later run or `load_trained_model` needs to know.

    Parameters
    ----------
    job
        The job of the run.
    corpus
        Its data.
    tokenizer
        The tokenizer of its data.
    """
    tokenizer.save(job.folder / TOKENIZER_FILE)
    description = {
        **job.description(),
        "vocab_size": len(tokenizer),
        "corpus_checksum": _corpus_checksum(job, corpus),
        "tokenizer_checksum": file_checksum(job.folder / TOKENIZER_FILE),
    }
    write_text_atomically(job.folder / DESCRIPTION_FILE, json.dumps(description, indent=1))


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of earlier runs in `folder`, of which no other run writes one."""
    for name in (DESCRIPTION_FILE, TOKENIZER_FILE, WEIGHTS_FILE, *CHECKPOINTS.values()):
        remove_unfinished(folder / name)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description that a run has left in a folder.

    Parameters
    ----------
    folder
        The folder that a run has written, such as "runs/gpt".

    Returns
    -------
    description : dict
        What `Job.description` returns, the size of the vocabulary, and checksums of the corpus and
        of the tokenizer's file.

    Raises
    ------
    FileNotFoundError
        If the folder has no description.
    ValueError
        If the file is damaged, not that of a run, or of an earlier version of the book.
    """
    path = folder / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: expected the folder of a run, with the description of its model; "
            "use a copy of it, or another folder"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not the description of a run: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{path} is not the description of a run: expected a JSON object")
    if description.keys() != DESCRIPTION_TYPES.keys():
        raise ValueError(
            f"{path} was written by another version of the book: expected a description with "
            f"{', '.join(sorted(DESCRIPTION_TYPES))}; train the model again in another folder"
        )
    for name, expected in DESCRIPTION_TYPES.items():
        if type(description[name]) is not expected:
            raise ValueError(f"{path} is damaged: {name} is {description[name]!r}")
    try:
        check_choice(MODELS, model=description["model"])
        check_choice(TOKENIZERS, tokenizer=description["data"].get("tokenizer"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    try:
        check_model_options(description["model"], description["model_options"])
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged or was written by another version of the book: {error}"
        ) from error
    return description


def _corpus_checksum(job: Job, corpus: Corpus[Any]) -> str:
    """Return the SHA-256 checksum of the texts of the training and the validation split."""
    checksum = hashlib.sha256()
    for split in (corpus.train, corpus.valid):
        for text in job.data.texts(split):
            checksum.update(f"{len(text)} {text}\n".encode())
    return checksum.hexdigest()


def _options(description: dict[str, Any]) -> dict[str, Any]:
    """Return the options in the description of a run by name, the model's name first."""
    first = {name: description[name] for name in ("model", "optimizer", "strategy")}
    last = {name: description[name] for name in ("label_smoothing", "seed")}
    return {**first, **description["model_options"], **description["data"], **last}
