"""The library's language models and tokenizers in the form in which the page loads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from tools.live.model_files import LiveModel, LiveTensor
from utils.data.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer
from utils.data.vocabulary import SPECIAL_TOKENS
from utils.models.attention_decoder import AttentionDecoder
from utils.models.attention_scores import AdditiveScore
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.ngram_counts import NGramCounts
from utils.models.ngram_estimates import estimate_discounts
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.stored_translator import Translator
from utils.models.transformer_layer import TransformerLayer, squared_relu

LiveTokenizer = BPETokenizer | CharTokenizer | WordTokenizer


def convert_tokenizer(tokenizer: LiveTokenizer) -> dict[str, Any]:
    """Convert a tokenizer to values of JSON.

    Parameters
    ----------
    tokenizer
        A tokenizer of characters, of words or of byte-pair encoding.

    Returns
    -------
    content : dict
        The characters or words in the order of their ids; or the ids of the 256 bytes and, for each
        merge, those of the left part, the right part and the result.
    """
    if isinstance(tokenizer, CharTokenizer | WordTokenizer):
        return {"kind": tokenizer.kind, "tokens": tokenizer.vocab.tokens[len(SPECIAL_TOKENS) :]}
    model = json.loads(tokenizer.backend.to_str())["model"]
    ids = model["vocab"]
    pairs = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]
    merges = [ids[part] for left, right in pairs for part in (left, right, left + right)]
    byte_ids = [ids[character] for character in byte_characters()]
    return {"kind": "bpe", "size": len(tokenizer), "byte_ids": byte_ids, "merges": merges}


def byte_characters() -> list[str]:
    """Return the visible character that stands for each byte in byte-level BPE.

    Printable characters of Latin-1 stand for themselves, the other bytes for the characters from
    U+0100 on, in their order. Source: Radford et al. 2019, the code of GPT-2.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def convert_gpt(model: GPT, tokenizer: LiveTokenizer, facts: Mapping[str, Any]) -> LiveModel:
    """Convert a GPT with the default options.

    Parameters
    ----------
    model
        The model.
    tokenizer
        Its tokenizer.
    facts
        What the page says of it.

    Returns
    -------
    live : LiveModel
        The model for the page.

    Raises
    ------
    ValueError
        If an option that the page's engine does not know is not the default.
    """
    layers = [layer for layer in model.layers if isinstance(layer, TransformerLayer)]
    is_default = (
        model.positional_encoding.encoding == "rotary"
        and isinstance(model.norm, nn.RMSNorm)
        and model.ngram_embedding is None
        and all(layer.activation is squared_relu for layer in layers)
        and all(layer.attention.qk_norm for layer in layers)
        and all(layer.attention.qkv_projection.bias is None for layer in layers)
    )
    if not is_default:
        raise ValueError("the page's engine has a GPT with the default options alone")
    options = {
        "num_layers": len(layers),
        "num_heads": model.num_heads,
        "context_length": model.context_length,
    }
    return _convert("gpt", model, options, tokenizer, facts)


def convert_lstm(model: RNNLM, tokenizer: LiveTokenizer, facts: Mapping[str, Any]) -> LiveModel:
    """Convert a language model of LSTM cells.

    Parameters
    ----------
    model
        The model.
    tokenizer
        Its tokenizer.
    facts
        What the page says of it.

    Returns
    -------
    live : LiveModel
        The model for the page.

    Raises
    ------
    ValueError
        If its cells are others.
    """
    if model.cell != "lstm":
        raise ValueError(f"the page's engine has LSTM cells alone, not {model.cell!r}")
    options = {
        "num_layers": model.rnn.num_layers,
        "width": model.rnn.hidden_size,
        "tied": model.output.weight is model.embedding.weight,
    }
    return _convert("lstm", model, options, tokenizer, facts)


def convert_translator(
    model: Translator, tokenizer: LiveTokenizer, facts: Mapping[str, Any]
) -> LiveModel:
    """Convert a translator of GRUs with additive attention.

    Parameters
    ----------
    model
        The model.
    tokenizer
        Its tokenizer.
    facts
        What the page says of it.

    Returns
    -------
    live : LiveModel
        The model for the page.

    Raises
    ------
    ValueError
        If it has another cell or score, more layers, or sizes that the page's engine does not know.
    """
    encoder, decoder = model.encoder, model.decoder
    is_known = (
        isinstance(encoder, RNNEncoder)
        and isinstance(decoder, AttentionDecoder)
        and encoder.embedding is decoder.embedding
        and all(
            isinstance(rnn, nn.GRU) and rnn.num_layers == 1
            for rnn in (encoder.rnn, decoder.query_rnn, decoder.output_rnn)
        )
        and encoder.rnn.bidirectional
        and type(decoder.attention_score) is AdditiveScore
        and decoder.embedding.embedding_dim == decoder.query_rnn.hidden_size
    )
    if not is_known:
        raise ValueError(
            "the page's engine has a translator of single GRUs with additive attention, one width "
            "and one embedding alone"
        )
    assert isinstance(decoder, AttentionDecoder)
    width = decoder.query_rnn.hidden_size
    return _convert("translator", model, {"width": width}, tokenizer, facts)


def convert_classifier(
    model: Classifier, tokenizer: LiveTokenizer, facts: Mapping[str, Any]
) -> LiveModel:
    """Convert a classifier of texts with convolutions, or with one GRU in both directions.

    Parameters
    ----------
    model
        The model.
    tokenizer
        Its tokenizer.
    facts
        What the page says of it.

    Returns
    -------
    live : LiveModel
        The model for the page.

    Raises
    ------
    ValueError
        If it has another encoder.
    """
    encoder = model.encoder
    options: dict[str, Any]
    if isinstance(encoder, WordCNNEncoder):
        options = {"kernel_sizes": list(encoder.kernel_sizes)}
    elif (
        isinstance(encoder, RNNEncoder)
        and isinstance(encoder.rnn, nn.GRU)
        and encoder.rnn.num_layers == 1
        and encoder.rnn.bidirectional
    ):
        options = {"kernel_sizes": None}
    else:
        raise ValueError("the page's engine has convolutions or one GRU in both directions alone")
    return _convert("classifier", model, options, tokenizer, facts)


def _convert(
    kind: str,
    model: nn.Module,
    options: Mapping[str, Any],
    tokenizer: LiveTokenizer,
    facts: Mapping[str, Any],
) -> LiveModel:
    """Return a network for the page; a matrix that two parts share is in it once."""
    tensors = [LiveTensor.of_weights(name, weights) for name, weights in model.named_parameters()]
    return LiveModel(
        kind=kind,
        options=options,
        tensors=tensors,
        tokenizer=convert_tokenizer(tokenizer),
        facts=facts,
    )


def convert_ngram(
    counts: NGramCounts, tokenizer: LiveTokenizer, facts: Mapping[str, Any]
) -> LiveModel:
    """Convert counts of n-grams to models with modified Kneser–Ney smoothing, of every order.

    Nothing is rounded: the page has the counts and the discounts of ``NGramLM.kneser_ney`` with
    ``modified=True``. The n-grams of each length are in the order of ``NGramCounts.keys``: for each
    context the number of its followers, and for each follower how much its last token exceeds that
    of its neighbour.

    Parameters
    ----------
    counts
        The counts of a running text.
    tokenizer
        Its tokenizer.
    facts
        What the page says of it.

    Returns
    -------
    live : LiveModel
        The model for the page.
    """
    lengths = range(1, counts.order + 1)
    discounts = {
        "raw": [_discounts(counts.raw[length]) for length in lengths],
        "continuation": [_discounts(counts.continuation[length]) for length in lengths[:-1]],
    }
    tensors = []
    for length in lengths:
        contexts, tokens = np.divmod(counts.keys[length][:-1], counts.base)
        children = np.bincount(contexts, minlength=len(counts.keys[length - 1]) - 1)
        is_first = np.diff(contexts, prepend=-1) > 0  # of the followers of its context
        deltas = np.where(is_first, tokens, np.diff(tokens, prepend=0))
        arrays = {f"children.{length - 1}": children, f"deltas.{length}": deltas}
        arrays[f"raw.{length}"] = counts.raw[length][:-1]
        if length < counts.order:
            arrays[f"continuation.{length}"] = counts.continuation[length][:-1]
        tensors += [LiveTensor.of_integers(name, array) for name, array in arrays.items()]
    options = {"order": counts.order, "vocab_size": counts.vocab_size, "discounts": discounts}
    return LiveModel(
        kind="ngram",
        options=options,
        tensors=tensors,
        tokenizer=convert_tokenizer(tokenizer),
        facts=facts,
    )


def _discounts(counts: np.ndarray) -> list[float]:
    """Return what is subtracted from a count of 0, 1, 2, and 3 or more."""
    discounts: list[float] = estimate_discounts(counts, modified=True).tolist()
    return discounts
