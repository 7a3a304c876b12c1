"""The trained translator that travels with the book, in book/models/attention-de-en.

``python -m benchmarks.stored_translator`` makes it. It is the model of section 4.2: an encoder that
reads in both directions, and a decoder with attention. The files are those of the language models
in ``utils.models.stored``, with a description of its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.data.tokenizers import BPETokenizer
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.attention_scores import AttentionScore
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.recurrent import Cell
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.stored_files import (
    TOKENIZER_FILE,
    Description,
    find_model_files,
    read_model_files,
    write_model_files,
)

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
    path = find_model_files(name, TRANSLATOR_FILE, kind="translator", folder=folder)
    model, (options, facts, _) = read_model_files(
        path, TRANSLATOR_FILE, build_translator, kind="translator"
    )
    tokenizer = BPETokenizer.load(path / TOKENIZER_FILE)
    return StoredTranslator(model=model, tokenizer=tokenizer, options=options, facts=facts)


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
    description = Description(options, facts)
    write_model_files(
        name, model, description, file=TRANSLATOR_FILE, tokenizer=tokenizer, folder=folder
    )
