"""Trained language models that travel with the book, so that no page has to train one for long.

``python -m benchmarks.stored_models`` makes them: a folder of book/models for each, with the
weights in half precision, the tokenizer, and what the model is and how it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.stored_files import (
    TOKENIZER_FILE,
    Description,
    find_model_files,
    read_model_files,
    write_model_files,
)

ARCHITECTURES: dict[str, type[GPT | RNNLM]] = {"GPT": GPT, "RNNLM": RNNLM}
MODEL_FILE = "model.json"


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A trained language model with its tokenizer and its origin.

    Parameters
    ----------
    model
        The model, in evaluation mode on the CPU, with parameters in float32.
    tokenizer
        The tokenizer of its pieces.
    options
        The arguments with which the model was built.
    facts
        Corpus, steps, seed, parameters, processor time and measured bits per character, by name.
    """

    model: GPT | RNNLM
    tokenizer: BPETokenizer
    options: Mapping[str, Any]
    facts: Mapping[str, Any]


def load_stored_model(name: str, *, folder: Path | None = None) -> StoredModel:
    """Load one of the book's trained models.

    Parameters
    ----------
    name
        Its name, such as "gpt-pieces".
    folder
        The folder of the models; by default `models_folder`.

    Returns
    -------
    stored : StoredModel
        The model, its tokenizer and its facts.

    Raises
    ------
    FileNotFoundError
        If there is no such model; the message lists the names that exist.
    ValueError
        If a file of the model is damaged.
    """
    path = find_model_files(name, MODEL_FILE, kind="model", folder=folder)
    model, description = read_model_files(path, MODEL_FILE, _build, kind="model")
    tokenizer = BPETokenizer.load(path / TOKENIZER_FILE)
    return StoredModel(
        model=model, tokenizer=tokenizer, options=description.options, facts=description.facts
    )


def _build(*, architecture: str, **options: Any) -> GPT | RNNLM:
    """Build an untrained model by the name of its class."""
    return ARCHITECTURES[architecture](**options)


def save_stored_model(
    name: str,
    model: GPT | RNNLM,
    tokenizer: BPETokenizer,
    *,
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
    folder: Path | None = None,
) -> None:
    """Write a model for `load_stored_model`, with its weights rounded to half precision.

    Parameters
    ----------
    name
        Its name, of letters, digits, - and _.
    model
        The trained model.
    tokenizer
        The tokenizer of its pieces.
    options
        The arguments that build the model, with values of JSON.
    facts
        What it was trained on and how, with values of JSON.
    folder
        The folder of the models; by default `models_folder`.

    Raises
    ------
    ValueError
        If the name has other characters, or half precision cannot hold a weight.
    OSError
        If a file cannot be written.
    """
    description = Description(options, facts, architecture=type(model).__name__)
    write_model_files(name, model, description, file=MODEL_FILE, tokenizer=tokenizer, folder=folder)
