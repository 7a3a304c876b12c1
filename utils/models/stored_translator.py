"""The trained translator that travels with the book, in book/models/attention-de-en.

``python -m benchmarks.stored_translator`` makes it. It is the model of section 4.2: an encoder that
reads in both directions, and a decoder with attention. The files are those of the language models
in ``utils.models.stored``, with a description of its own name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from utils.data.tokenizers import BPETokenizer
from utils.files import atomic_file, write_text_atomically
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.attention_scores import AttentionScore
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.recurrent import Cell
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.stored import TOKENIZER_FILE, WEIGHTS_FILE, models_folder

TRANSLATOR_FILE = "translator.json"

Translator = EncoderDecoder[AttentionDecoderState]
"""A model that translates with attention."""


@dataclass(frozen=True, kw_only=True)
class StoredTranslator:
    """A trained translator with its tokenizer and its origin.

    Parameters
    ----------
    model
        The model, in evaluation mode on the CPU, with parameters in float32.
    tokenizer
        The tokenizer of the pieces of both languages.
    options
        The arguments of `build_translator` with which it was built.
    facts
        Corpus, steps, seed, parameters, time and measured scores, by name.
    """

    model: Translator
    tokenizer: BPETokenizer
    options: Mapping[str, Any]
    facts: Mapping[str, Any]


def build_translator(
    vocab_size: int,
    *,
    width: int = 256,
    cell: Cell = "gru",
    attention_score: AttentionScore = "additive",
    dropout: float = 0.0,
) -> Translator:
    """Build a bidirectional encoder and a decoder with attention; all words share one matrix.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary of source and target.
    width
        Length D of word vectors and of states.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    attention_score
        As for `AttentionDecoder`.
    dropout
        Probability of dropout.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.

    Raises
    ------
    ValueError
        As for `RNNEncoder` and `AttentionDecoder`.
    """
    encoder = RNNEncoder(vocab_size, width=width, cell=cell, dropout=dropout)
    decoder = AttentionDecoder(
        vocab_size, width=width, cell=cell, attention_score=attention_score, dropout=dropout
    )
    return share_embeddings(EncoderDecoder(encoder, decoder))


def load_stored_translator(name: str, *, folder: Path | None = None) -> StoredTranslator:
    """Load a trained translator.

    Parameters
    ----------
    name
        Its name, such as "attention-de-en".
    folder
        The folder of the models; by default `models_folder`.

    Returns
    -------
    stored : StoredTranslator
        The model, its tokenizer and its facts.

    Raises
    ------
    FileNotFoundError
        If there is no such translator; the message lists the names that exist.
    ValueError
        If a file of the model is damaged.
    """
    folder = models_folder() if folder is None else folder
    path = folder / name
    if not re.fullmatch(r"[\w-]+", name) or not (path / TRANSLATOR_FILE).is_file():
        names = sorted(file.parent.name for file in folder.glob(f"*/{TRANSLATOR_FILE}"))
        raise FileNotFoundError(
            f"no stored translator {name!r}; there are {', '.join(names) or f'none in {folder}'}"
        )
    weights = (path / WEIGHTS_FILE).read_bytes()
    try:
        description = json.loads((path / TRANSLATOR_FILE).read_text(encoding="utf-8"))
        if hashlib.sha256(weights).hexdigest() != description["weights_checksum"]:
            raise ValueError(f"{WEIGHTS_FILE} does not have the checksum in {TRANSLATOR_FILE}")
        options, facts = description["options"], description["facts"]
        model = build_translator(**options)
        tensors = {key: tensor.float() for key, tensor in load(weights).items()}
        shapes = {key: parameter.shape for key, parameter in model.named_parameters()}
        if {key: tensor.shape for key, tensor in tensors.items()} != shapes:
            raise ValueError("its weights are those of another model")
        model.load_state_dict(tensors, strict=False)  # a shared matrix fills all its names
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"the stored translator in {path} is damaged ({error}): get the book's files again, by "
            "git or by installing the library once more"
        ) from error
    tokenizer = BPETokenizer.load(path / TOKENIZER_FILE)
    return StoredTranslator(model=model.eval(), tokenizer=tokenizer, options=options, facts=facts)


def save_stored_translator(
    name: str,
    model: Translator,
    tokenizer: BPETokenizer,
    *,
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
    folder: Path | None = None,
) -> None:
    """Write a translator for `load_stored_translator`, its weights rounded to half precision.

    Parameters
    ----------
    name
        Its name, of letters, digits, - and _.
    model
        The trained model.
    tokenizer
        The tokenizer of its pieces.
    options
        The arguments of `build_translator` that build it, with values of JSON.
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
    tensors = {key: value.detach().half().contiguous() for key, value in model.named_parameters()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{name}: a weight is not finite in half precision")
    weights = save(tensors)
    description = {
        "options": dict(options),
        "weights_checksum": hashlib.sha256(weights).hexdigest(),
        "facts": dict(facts),
    }
    with atomic_file(path / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weights)
    tokenizer.save(path / TOKENIZER_FILE)
    text = json.dumps(description, indent=1, ensure_ascii=False)
    write_text_atomically(path / TRANSLATOR_FILE, text + "\n")
