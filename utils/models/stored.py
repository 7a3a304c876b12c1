"""Trained language models that travel with the book, so that no page has to train one for long.

``python -m benchmarks.stored_models`` makes them: a folder of book/models for each, with the
weights in half precision, the tokenizer, and what the model is and how it was trained.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from utils.data.tokenizers import BPETokenizer
from utils.files import atomic_file, write_text_atomically
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM

ARCHITECTURES: dict[str, type[GPT | RNNLM]] = {"GPT": GPT, "RNNLM": RNNLM}
DESCRIPTION_FILE, TOKENIZER_FILE = "model.json", "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"


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


def models_folder() -> Path:
    """Return the folder of the stored models.

    It is book/models of a checkout; an installed library has a copy inside, as
    ``utils/models/stored_models``.
    """
    installed = Path(str(resources.files("utils.models"))) / "stored_models"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "book" / "models"


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
    folder = models_folder() if folder is None else folder
    path = folder / name
    if not re.fullmatch(r"[\w-]+", name) or not (path / DESCRIPTION_FILE).is_file():
        names = sorted(file.parent.name for file in folder.glob(f"*/{DESCRIPTION_FILE}"))
        raise FileNotFoundError(
            f"no stored model {name!r}; there are {', '.join(names) or f'none in {folder}'}"
        )
    weights = (path / WEIGHTS_FILE).read_bytes()
    try:
        description = json.loads((path / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        if hashlib.sha256(weights).hexdigest() != description["weights_checksum"]:
            raise ValueError(f"{WEIGHTS_FILE} does not have the checksum in {DESCRIPTION_FILE}")
        model = ARCHITECTURES[description["architecture"]](**description["options"])
        tensors = load(weights)
        shapes = {key: parameter.shape for key, parameter in model.named_parameters()}
        if {key: tensor.shape for key, tensor in tensors.items()} != shapes:
            raise ValueError("its weights are those of another architecture")
        model.load_state_dict(
            {key: tensor.float() for key, tensor in tensors.items()}, strict=False
        )
        options, facts = description["options"], description["facts"]
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"the stored model in {path} is damaged ({error}): get the book's files again, by git "
            "or by installing the library once more"
        ) from error
    tokenizer = BPETokenizer.load(path / TOKENIZER_FILE)
    return StoredModel(model=model.eval(), tokenizer=tokenizer, options=options, facts=facts)


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
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"name must consist of letters, digits, - and _, got {name!r}")
    path = (models_folder() if folder is None else folder) / name
    # a tied matrix is stored once, under its first name; loading fills all its names
    tensors = {key: value.detach().half().contiguous() for key, value in model.named_parameters()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{name}: a weight is not finite in half precision")
    weights = save(tensors)
    description = {
        "architecture": type(model).__name__,
        "options": dict(options),
        "weights_checksum": hashlib.sha256(weights).hexdigest(),
        "facts": dict(facts),
    }
    with atomic_file(path / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weights)
    tokenizer.save(path / TOKENIZER_FILE)
    text = json.dumps(description, indent=1, ensure_ascii=False)
    write_text_atomically(path / DESCRIPTION_FILE, text + "\n")
