"""The models of the book by name, for programs that build whatever model they are asked for.

What a model takes is read off its signature, so that nothing is stated twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from utils.arguments import check_choice
from utils.command.training_data import PairData, TextData
from utils.models.attention_decoder import AttentionDecoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq, share_embeddings
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder


@dataclass(frozen=True)
class ModelSpec:
    """How a model is built, and what data it is trained on.

    Parameters
    ----------
    parts
        What is called with the size of the vocabulary and options: one function or class that gives
        the whole model, or one that gives its encoder and one that gives its decoder.
    data_class
        The class of its data.
    defaults
        Options of the parts whose defaults differ from those of their signatures.
    """

    parts: tuple[Callable[..., Any], ...]
    data_class: type[TextData] | type[PairData]
    defaults: Mapping[str, Any] = field(default_factory=dict)


MODELS: dict[str, ModelSpec] = {
    "nnlm": ModelSpec((NNLM,), TextData),
    "rnnlm": ModelSpec((RNNLM,), TextData),
    "lstmlm": ModelSpec(
        (RNNLM,), TextData, defaults={"cell": "lstm", "num_layers": 2, "tied": True}
    ),
    "gpt": ModelSpec((GPT,), TextData),
    "seq2seq": ModelSpec((lstm_seq2seq,), PairData),
    "rnn": ModelSpec((RNNEncoder, RNNDecoder), PairData),
    "attention": ModelSpec((RNNEncoder, AttentionDecoder), PairData),
    "cnn": ModelSpec((CNNEncoder, CNNDecoder), PairData),
    "transformer": ModelSpec((TransformerEncoder, TransformerDecoder), PairData),
}


def select_model_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Select the options that the parts of a model take.

    The size of the vocabulary is left out: it is known when the data have been read.

    Parameters
    ----------
    name
        A key of `MODELS`.
    options
        Values of options by name.

    Returns
    -------
    model_options : dict
        The arguments of the parts by name.
    """
    selected: dict[str, Any] = {}
    for part in MODELS[name].parts:
        selected.update(select_arguments(part, options))
    selected.pop("vocab_size", None)
    return selected


def build_model(name: str, options: Mapping[str, Any], *, vocab_size: int) -> nn.Module:
    """Build a model of the catalogue.

    Parameters
    ----------
    name
        A key of `MODELS`.
    options
        Arguments by name: each part gets those that it takes. `select_model_options` selects them
        from more.
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    model : torch.nn.Module
        The untrained model.

    Raises
    ------
    ValueError
        If the model is not in the catalogue, no part takes one of the options, or a value is out of
        its range.

    Examples
    --------
    >>> from utils.command.catalogue import build_model
    >>> from utils.metrics.cost import count_parameters
    >>> count_parameters(build_model("gpt", {"width": 32, "num_layers": 2}, vocab_size=50))
    26336
    """
    check_model_options(name, options)
    spec = MODELS[name]
    options = {**spec.defaults, **options}
    parts = [part(vocab_size, **select_arguments(part, options)) for part in spec.parts]
    if len(parts) == 1:
        model: nn.Module = parts[0]
        return model
    encoder, decoder = parts
    return share_embeddings(EncoderDecoder(encoder, decoder))


def check_model_options(name: str, options: Mapping[str, Any]) -> None:
    """Check that a model is in the catalogue, and that its parts take options of these names.

    Parameters
    ----------
    name
        The model's name.
    options
        Values of options by name; only the names are checked.

    Raises
    ------
    ValueError
        If the model is unknown or no part takes one of the options; the message lists the valid
        ones.
    """
    check_choice(MODELS, model=name)
    signatures = [inspect.signature(part) for part in MODELS[name].parts]
    valid = {option for signature in signatures for option in signature.parameters}
    valid.discard("vocab_size")
    for option in options:
        if option not in valid:
            raise ValueError(
                f"{name} has no option {option!r}; choose from {', '.join(sorted(valid))}"
            )


def select_arguments(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Select the options that a function or a class's constructor takes.

    Parameters
    ----------
    function
        A function or a class.
    options
        Values of options by name.

    Returns
    -------
    arguments : dict
        The arguments by name.
    """
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in parameters}
