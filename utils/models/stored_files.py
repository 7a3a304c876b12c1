"""The files of a trained model that travels with the book: description, weights and tokenizer.

The description has checksums of all three. One that was written before it had that of itself and
of the tokenizer is read without them.

``utils.models.stored``, ``utils.models.stored_translator`` and ``utils.models.stored_classifier``
read and write them.
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
from utils.data.tokenizers import BPETokenizer, WordTokenizer
from utils.files import atomic_file, write_text_atomically

TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"

_KEYS = ("architecture", "options", "weights_checksum", "facts")
_OWN_CHECKSUM, _TOKENIZER_CHECKSUM = "checksum", "tokenizer_checksum"

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
        _check_description(path, file, description)
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
    except (AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"the stored {kind} in {path} is damaged ({error}): get the book's files again, by "
            "git or by installing the library once more"
        ) from error
    return model.eval(), Description(options, facts, architecture)


def _check_description(path: Path, file: str, description: dict[str, Any]) -> None:
    """Raise ValueError for a description or a tokenizer that was changed since it was written."""
    unknown = description.keys() - {*_KEYS, _OWN_CHECKSUM, _TOKENIZER_CHECKSUM}
    if unknown:
        raise ValueError(f"{file} has an entry {min(unknown)!r}, which no description has")
    if description.get(_OWN_CHECKSUM, _checksum(description)) != _checksum(description):
        raise ValueError(f"{file} does not have its own checksum")
    if _TOKENIZER_CHECKSUM in description:
        content = (path / TOKENIZER_FILE).read_bytes()
        if hashlib.sha256(content).hexdigest() != description[_TOKENIZER_CHECKSUM]:
            raise ValueError(f"{TOKENIZER_FILE} does not have the checksum in {file}")


def _checksum(description: Mapping[str, Any]) -> str:
    """Return the checksum of a description's other entries, in whatever layout they are written."""
    entries = {key: value for key, value in description.items() if key != _OWN_CHECKSUM}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def write_model_files(
    name: str,
    model: nn.Module,
    description: Description,
    *,
    file: str,
    tokenizer: BPETokenizer | WordTokenizer | None = None,
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
    tokenizer
        Its tokenizer, if it has one.
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
    content: dict[str, Any] = {
        **if_given(architecture=description.architecture),
        "options": dict(description.options),
        "weights_checksum": hashlib.sha256(weights).hexdigest(),
        "facts": dict(description.facts),
    }
    with atomic_file(path / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weights)
    if tokenizer is not None:
        tokenizer.save(path / TOKENIZER_FILE)
        stored = (path / TOKENIZER_FILE).read_bytes()
        content[_TOKENIZER_CHECKSUM] = hashlib.sha256(stored).hexdigest()
    content = json.loads(json.dumps(content))  # as it will be read: lists in place of tuples
    content[_OWN_CHECKSUM] = _checksum(content)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text_atomically(path / file, text + "\n")
    return path
