"""The models of the book by name, and the data that they are trained on.

For programs that build whatever model they are asked for, as ``utils.command.run`` does. What a
model takes is read off its signature, so nothing is stated twice.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import Corpus, load_pairs, load_text, split_text
from utils.data.examples import SentencePair
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, WordTokenizer
from utils.models.attention_decoder import AttentionDecoder
from utils.models.decoders import CNNDecoder, RNNDecoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq, share_embeddings
from utils.models.encoders import CNNEncoder, RNNEncoder
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM, NNLM, RNNLM
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training.objectives import BatchStream

TOKENIZERS: dict[str, Any] = {
    "characters": CharTokenizer,
    "words": WordTokenizer,
    "bpe": BPETokenizer,
}
Split = TypeVar("Split", str, list[SentencePair])


@dataclass(frozen=True, kw_only=True)
class TrainingData(ABC, Generic[Split]):
    """A corpus, and how it is tokenized and batched; the base of `TextData` and `PairData`.

    Parameters
    ----------
    corpus
        Name of a corpus of the book.
    tokenizer
        Name of the tokenizer: characters, words or bpe.
    vocab_size
        Size of the largest vocabulary; None for the tokenizer's default.
    batch_size
        Number B of rows in a batch.
    seed
        Seed of the order of the data and of the model's first weights.
    """

    corpus: str
    tokenizer: str
    vocab_size: int | None
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tokenizer not in TOKENIZERS:
            choices = ", ".join(TOKENIZERS)
            raise ValueError(f"tokenizer is {self.tokenizer!r}; choose from {choices}")

    def train_tokenizer(self, corpus: Corpus[Split]) -> Tokenizer:
        """Build the tokenizer of the training split."""
        sizes = {} if self.vocab_size is None else {"max_size": self.vocab_size}
        return TOKENIZERS[self.tokenizer].train(self.texts(corpus.train), **sizes)

    @abstractmethod
    def read(self) -> Corpus[Split]:
        """Load the corpus."""

    @abstractmethod
    def texts(self, split: Split) -> list[str]:
        """Return all texts of a split."""

    def target_texts(self, split: Split) -> list[str]:
        """Return the texts of a split that the model predicts."""
        return self.texts(split)

    @abstractmethod
    def batches(
        self, corpus: Corpus[Split], tokenizer: Tokenizer
    ) -> tuple[BatchStream, list[Batch]]:
        """Return the batches of the training split by step, and those of the validation split."""


@dataclass(frozen=True, kw_only=True)
class TextData(TrainingData[str]):
    """A running text, of which a batch holds random windows.

    Parameters
    ----------
    corpus
        Name of a text corpus of the book: tiny_shakespeare.
    file
        Path of a text file of your own (UTF-8), in place of the corpus.
    tokenizer
        Name of the tokenizer: characters, words or bpe.
    vocab_size
        Size of the largest vocabulary; by default 4000 for bpe, and no limit for the others.
    batch_size
        Number of windows in a batch.
    context_length
        Number of tokens in a window.
    seed
        Seed of the choice of windows and of the model's first weights.
    """

    corpus: str = "tiny_shakespeare"
    file: str | None = None
    tokenizer: str = "characters"
    vocab_size: int | None = None
    batch_size: int = 32
    context_length: int = 64

    def read(self) -> Corpus[str]:
        """Load the corpus, or split the file like a corpus.

        Raises
        ------
        ValueError
            If there is no such corpus or file.
        """
        if self.file is None:
            return load_text(self.corpus)
        path = Path(self.file)
        if not path.is_file():
            raise ValueError(f"file: expected a text, found none at {path}")
        return split_text(path.name, "real", path.read_text(encoding="utf-8"))

    def texts(self, split: str) -> list[str]:
        """Return the text of a split, as a list of one."""
        return [split]

    def batches(self, corpus: Corpus[str], tokenizer: Tokenizer) -> tuple[BatchStream, list[Batch]]:
        """Return windows of the training split by step, and the whole validation split."""
        train = torch.tensor(tokenizer.encode(corpus.train))
        valid = torch.tensor(tokenizer.encode(corpus.valid))
        B, T = self.batch_size, self.context_length
        return (
            TextBatches(train, batch_size=B, context_length=T, seed=self.seed),
            text_eval_batches(valid, batch_size=B, context_length=T),
        )


@dataclass(frozen=True, kw_only=True)
class PairData(TrainingData[list[SentencePair]]):
    """Sentence pairs for translation, with one vocabulary for both languages.

    Parameters
    ----------
    corpus
        Name of a corpus of sentence pairs of the book: multi30k or tatoeba.
    source
        The language to translate from: de, en or fr of multi30k, en or zh of tatoeba.
    target
        The language to translate into, another one of these.
    tokenizer
        Name of the tokenizer: characters, words or bpe.
    vocab_size
        Size of the largest vocabulary; null for no limit.
    batch_size
        Number of pairs in a batch; a source length with fewer pairs gives smaller batches.
    seed
        Seed of the order of the batches and of the model's first weights.
    """

    corpus: str = "multi30k"
    source: str = "de"
    target: str = "en"
    tokenizer: str = "bpe"
    vocab_size: int | None = 4000
    batch_size: int = 64

    def read(self) -> Corpus[list[SentencePair]]:
        """Load the corpus; raise ValueError for an unknown corpus or language."""
        return load_pairs(self.corpus, source=self.source, target=self.target)

    def texts(self, split: list[SentencePair]) -> list[str]:
        """Return the sources and targets of a split, in turn."""
        return [sentence for pair in split for sentence in pair]

    def target_texts(self, split: list[SentencePair]) -> list[str]:
        """Return the targets of a split."""
        return [target for _, target in split]

    def batches(
        self, corpus: Corpus[list[SentencePair]], tokenizer: Tokenizer
    ) -> tuple[BatchStream, list[Batch]]:
        """Return pairs of the training split by step, and the whole validation split."""
        train = encode_pairs(corpus.train, tokenizer)
        valid = encode_pairs(corpus.valid, tokenizer)
        return (
            PairBatches(train, batch_size=self.batch_size, seed=self.seed),
            pair_eval_batches(valid, batch_size=self.batch_size),
        )


@dataclass(frozen=True)
class ModelSpec:
    """How a model is built, and the kind of data that it is trained on.

    Parameters
    ----------
    parts
        What is called with the size of the vocabulary and options: one function or class that gives
        the whole model, or one that gives its encoder and one that gives its decoder.
    data
        The class of its data.
    """

    parts: tuple[Callable[..., Any], ...]
    data: type[TextData] | type[PairData]


MODELS: dict[str, ModelSpec] = {
    "nnlm": ModelSpec((NNLM,), TextData),
    "rnnlm": ModelSpec((RNNLM,), TextData),
    "lstmlm": ModelSpec((LSTMLM,), TextData),
    "gpt": ModelSpec((GPT,), TextData),
    "seq2seq": ModelSpec((lstm_seq2seq,), PairData),
    "rnn": ModelSpec((RNNEncoder, RNNDecoder), PairData),
    "attention": ModelSpec((RNNEncoder, AttentionDecoder), PairData),
    "cnn": ModelSpec((CNNEncoder, CNNDecoder), PairData),
    "transformer": ModelSpec((TransformerEncoder, TransformerDecoder), PairData),
}


def model_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `options` that the parts of a model take, by name.

    The size of the vocabulary is none of them: it is known when the data have been read.

    Parameters
    ----------
    name
        A key of `MODELS`.
    options
        Values of options by name.

    Returns
    -------
    dict
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
        Arguments by name, see `model_options`. Each part of the model gets those that it takes.
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    torch.nn.Module
        The untrained model.
    """
    parts = [part(vocab_size, **select_arguments(part, options)) for part in MODELS[name].parts]
    if len(parts) == 1:
        return parts[0]
    encoder, decoder = parts
    return share_embeddings(EncoderDecoder(encoder, decoder))


def select_arguments(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `options` that are parameters of a function or of a class's constructor.

    Parameters
    ----------
    function
        A function or a class.
    options
        Values of options by name.

    Returns
    -------
    dict
        The arguments by name.
    """
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in parameters}
