"""The trained classifiers of film reviews that travel with the book, such as sentiment-cnn.

``python -m benchmarks.stored_classifiers`` makes them. They are networks of section 9.1: the
convolutions of Kim 2014, and a GRU that reads in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from utils.arguments import check_choice, check_number
from utils.contract import Encoder
from utils.data.tokenizers import WordTokenizer
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.stored_files import (
    TOKENIZER_FILE,
    Description,
    find_model_files,
    read_model_files,
    write_model_files,
)
from utils.states import Memory

CLASSIFIER_FILE = "classifier.json"
EncoderName = Literal["cnn", "gru"]


@dataclass(frozen=True, kw_only=True)
class StoredClassifier:
    """A trained classifier with its tokenizer and its origin.

    Parameters
    ----------
    model
        The model, in evaluation mode on the CPU, with parameters in float32.
    tokenizer
        The tokenizer of its words.
    options
        The arguments of `build_classifier` with which it was built.
    facts
        Corpus, steps, seed, parameters, time and measured scores, by name.
    """

    model: Classifier
    tokenizer: WordTokenizer
    options: Mapping[str, Any]
    facts: Mapping[str, Any]


def build_classifier(
    vocab_size: int,
    *,
    encoder: EncoderName,
    width: int = 64,
    num_filters: int = 48,
    dropout: float = 0.5,
    gru_dropout: float = 0.1,
) -> Classifier:
    """Build a classifier with two classes.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    encoder
        "cnn", filters over three, four and five words, or "gru", which reads in both directions.
    width
        Length of the word vectors and, of the GRU, of the text's vector.
    num_filters
        Number of filters in each group of the convolutions.
    dropout
        Probability of dropout on the text's vector.
    gru_dropout
        Probability of dropout within the GRU: on word vectors, states and its vector.

    Returns
    -------
    model : Classifier
        The untrained model.

    Raises
    ------
    ValueError
        If the encoder is unknown, a size is not a positive integer, or a probability is not from 0
        to below 1.
    """
    check_choice(get_args(EncoderName), encoder=encoder)
    check_number(minimum=0, below=1, dropout=dropout, gru_dropout=gru_dropout)
    body: Encoder[Memory]
    if encoder == "cnn":
        body = WordCNNEncoder(vocab_size, embedding_size=width, num_filters=num_filters)
        return Classifier(body, input_size=len(body.kernel_sizes) * num_filters, dropout=dropout)
    body = RNNEncoder(vocab_size, width=width, cell="gru", dropout=gru_dropout)
    return Classifier(body, input_size=width, dropout=dropout)


def load_stored_classifier(name: str, *, folder: Path | None = None) -> StoredClassifier:
    """Load a trained classifier.

    Parameters
    ----------
    name
        Its name, such as "sentiment-cnn".
    folder
        The folder of the models; by default `models_folder`.

    Returns
    -------
    stored : StoredClassifier
        The model, its tokenizer and its facts.

    Raises
    ------
    FileNotFoundError
        If there is no such classifier; the message lists the names that exist.
    ValueError
        If a file of the model is damaged.
    """
    path = find_model_files(name, CLASSIFIER_FILE, kind="classifier", folder=folder)
    model, (options, facts, _) = read_model_files(
        path, CLASSIFIER_FILE, build_classifier, kind="classifier"
    )
    tokenizer = WordTokenizer.load(path / TOKENIZER_FILE)
    return StoredClassifier(model=model, tokenizer=tokenizer, options=options, facts=facts)


def save_stored_classifier(
    name: str,
    model: Classifier,
    tokenizer: WordTokenizer,
    *,
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
    folder: Path | None = None,
) -> None:
    """Write a classifier for `load_stored_classifier`, its weights rounded to half precision.

    Parameters
    ----------
    name
        Its name, of letters, digits, - and _.
    model
        The trained model.
    tokenizer
        The tokenizer of its words.
    options
        The arguments of `build_classifier` that build it, with values of JSON.
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
        name, model, description, file=CLASSIFIER_FILE, tokenizer=tokenizer, folder=folder
    )
