"""The files of a trained model that travels with the book: description and weights.

``utils.models.stored``, ``utils.models.stored_translator`` and ``utils.models.stored_classifier``
read and write them; the tokenizer lies beside them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from utils.arguments import if_given
from utils.files import atomic_file, write_text_atomically

TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"

Model = TypeVar("Model", bound=nn.Module)


class Description(NamedTuple):
    """What the description of a stored model says.

    Parameters
    ----------
    options
        The arguments with which the model was built.
    facts
        What it was trained on and how, and what was measured.
    architecture
        The name of the model's class, where models of one kind may have several; else None.
    """

    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    architecture: str | None = None


def models_folder() -> Path:
    """Return the folder of the stored models.

    It is book/models of a checkout; an installed library has a copy inside, as
    ``utils/models/stored_models``.
    """
    installed = Path(str(resources.files("utils.models"))) / "stored_models"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "book" / "models"


def find_model_files(name: str, file: str, *, kind: str, folder: Path | None = None) -> Path:
    """Return the folder of a stored model.

    Parameters
    ----------
    name
        Its name.
    file
        The name of its description, by which models of its kind are told from others.
    kind
        What it is, for the message.
    folder
        The folder of the models; by default `models_folder`.

    Returns
    -------
    path : Path
        The folder with its files.

    Raises
    ------
    FileNotFoundError
        If there is no such model; the message lists the names that exist.
    """
    folder = models_folder() if folder is None else folder
    if not re.fullmatch(r"[\w-]+", name) or not (folder / name / file).is_file():
        names = sorted(path.parent.name for path in folder.glob(f"*/{file}"))
        raise FileNotFoundError(
            f"no stored {kind} {name!r}; there are {', '.join(names) or f'none in {folder}'}"
        )
    return folder / name


def read_model_files(
    path: Path, file: str, build: Callable[..., Model], *, kind: str
) -> tuple[Model, Description]:
    """Read a stored model.

    Parameters
    ----------
    path
        The folder with its files.
    file
        The name of its description.
    build
        Builds it, untrained, from its options, and from its `architecture` if that is stored.
    kind
        What it is, for the message.

    Returns
    -------
    model : nn.Module
        The model, in evaluation mode on the CPU, with parameters in float32.
    description : Description
        Its options and its facts.

    Raises
    ------
    FileNotFoundError
        If there are no weights.
    ValueError
        If a file is damaged.
    """
    weights = (path / WEIGHTS_FILE).read_bytes()
    try:
        description = json.loads((path / file).read_text(encoding="utf-8"))
        if hashlib.sha256(weights).hexdigest() != description["weights_checksum"]:
            raise ValueError(f"{WEIGHTS_FILE} does not have the checksum in {file}")
        options, facts = description["options"], description["facts"]
        architecture = description.get("architecture")
        model = build(**options, **if_given(architecture=architecture))
        tensors = {key: tensor.float() for key, tensor in load(weights).items()}
        shapes = {key: parameter.shape for key, parameter in model.named_parameters()}
        if {key: tensor.shape for key, tensor in tensors.items()} != shapes:
            raise ValueError("its weights are those of another model")
        model.load_state_dict(tensors, strict=False)  # a shared matrix fills all its names
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"the stored {kind} in {path} is damaged ({error}): get the book's files again, by "
            "git or by installing the library once more"
        ) from error
    return model.eval(), Description(options, facts, architecture)


def write_model_files(
    name: str,
    model: nn.Module,
    description: Description,
    *,
    file: str,
    folder: Path | None = None,
) -> Path:
    """Write a model for `read_model_files`, its weights rounded to half precision.

    Parameters
    ----------
    name
        Its name, of letters, digits, - and _.
    model
        The trained model.
    description
        Its options and its facts, with values of JSON.
    file
        The name of the file of its description.
    folder
        The folder of the models; by default `models_folder`.

    Returns
    -------
    path : Path
        The folder with its files.

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
    # a shared matrix is stored once, under its first name
    tensors = {key: value.detach().half().contiguous() for key, value in model.named_parameters()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{name}: a weight is not finite in half precision")
    weights = save(tensors)
    content = {
        **if_given(architecture=description.architecture),
        "options": dict(description.options),
        "weights_checksum": hashlib.sha256(weights).hexdigest(),
        "facts": dict(description.facts),
    }
    with atomic_file(path / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weights)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text_atomically(path / file, text + "\n")
    return path
