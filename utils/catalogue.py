"""The models of the book by name, what each is made from, and the data it is trained on.

For programs that build whatever they are asked for, as ``utils.command`` does. Nothing is stated
twice: what a model takes is read off its signature.
"""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass, is_dataclass
from pathlib import Path

import torch

from utils import data
from utils.encoders import CNNEncoder, RNNEncoder, TransformerEncoder, TransformerStack
from utils.layers import Layer
from utils.lm import GPT, LSTMLM, NNLM, RNNLM
from utils.seq2seq import (
    AttentionDecoder,
    CNNDecoder,
    EncoderDecoder,
    RNNDecoder,
    TransformerDecoder,
    lstm_seq2seq,
    share_words,
)
from utils.vocab import BPETokenizer, CharTokenizer, WordTokenizer

MODELS = {
    "nnlm": (NNLM,),
    "rnnlm": (RNNLM,),
    "lstmlm": (LSTMLM,),
    "gpt": (GPT,),
    "seq2seq": (lstm_seq2seq,),
    "rnn": (RNNEncoder, RNNDecoder),
    "attention": (RNNEncoder, AttentionDecoder),
    "cnn": (CNNEncoder, CNNDecoder),
    "transformer": (TransformerEncoder, TransformerDecoder),
}
PASSED_ON = dict.fromkeys((TransformerEncoder, TransformerDecoder), (TransformerStack, Layer))
INNER = {"self", "vocab_size", "cross"}  # what a model takes, but not from the command line
TOKENIZERS = {"characters": CharTokenizer, "words": WordTokenizer, "bpe": BPETokenizer}


@dataclass(frozen=True)
class TextData:
    """A running text: `corpus` by name, or your own `file` (UTF-8) in its place.

    Cut into `tokens` (characters, words or bpe), the `vocabulary` most frequent ones at most (0:
    all, of bpe 4000); a step reads `batch` windows of `block` tokens, drawn by `seed`, which also
    makes the first weights.
    """

    corpus: str = "tiny_shakespeare"
    file: str | None = None
    tokens: str = "characters"
    vocabulary: int = 0
    batch: int = 32
    block: int = 64
    seed: int = 0

    def __post_init__(self):
        check_tokens(self.tokens)

    def read(self) -> data.Corpus:
        if self.file is None:
            return data.load_text(self.corpus)
        path = Path(self.file)
        if not path.is_file():
            raise ValueError(f"file: expected a text, found none at {path}")
        return data.split_text(path.name, "real", path.read_text(encoding="utf-8"))

    def batches(self, corpus, tokenizer):
        """Batches of the training split, by step, and of the validation split."""
        train, valid = (torch.tensor(tokenizer.encode(t)) for t in (corpus.train, corpus.valid))
        return (
            data.TextBatches(train, self.batch, self.block, self.seed),
            data.text_eval_batches(valid, self.batch, self.block),
        )

    def texts(self, split) -> list[str]:
        """What a model of these data writes."""
        return [split]


@dataclass(frozen=True)
class PairData:
    """Sentence pairs: `corpus` by name, from the language `source` to the language `target`.

    One vocabulary for both, as for a text. A step reads `batch` pairs at most, whose sources are
    equally long, in an order by `seed`, which also makes the first weights.
    """

    corpus: str = "multi30k"
    source: str = "de"
    target: str = "en"
    tokens: str = "bpe"
    vocabulary: int = 4000
    batch: int = 64
    seed: int = 0

    def __post_init__(self):
        check_tokens(self.tokens)

    def read(self) -> data.Corpus:
        return data.load_pairs(self.corpus, self.source, self.target)

    def batches(self, corpus, tokenizer):
        """Batches of the training split, by step, and of the validation split."""
        train, valid = (data.encode_pairs(p, tokenizer) for p in (corpus.train, corpus.valid))
        return (
            data.PairBatches(train, self.batch, self.seed),
            data.pair_eval_batches(valid, self.batch),
        )

    def texts(self, split) -> list[str]:
        """What a model of these data writes."""
        return [target for _, target in split]


def check_tokens(kind: str) -> None:
    """Raise ValueError for an unknown kind of tokenizer."""
    if kind not in TOKENIZERS:
        raise ValueError(f"tokens is {kind!r}; choose from {', '.join(TOKENIZERS)}")


def data_of(name: str) -> type:
    """The data that a model is trained on."""
    return TextData if MODELS[name][0].__module__ == "utils.lm" else PairData


def build(name: str, made: dict, vocab_size: int) -> torch.nn.Module:
    """The model by name; each of its parts takes those of the options that it knows."""
    parts = [part(vocab_size, **pick(part, made)) for part in MODELS[name]]
    return parts[0] if len(parts) == 1 else share_words(EncoderDecoder(*parts))


def tokenizer_of(source: TextData | PairData, corpus: data.Corpus):
    """A tokenizer of the training split, of the kind and size that `source` asks for."""
    texts = corpus.train if isinstance(corpus.train, str) else [t for p in corpus.train for t in p]
    size = {"max_size": source.vocabulary} if source.vocabulary else {}
    return TOKENIZERS[source.tokens].train(texts, **size)


def options_of(taken) -> dict[str, tuple]:
    """Name → (type, default) of each field of a dataclass, or of what a model is made from."""
    found = {}
    for made in PASSED_ON.get(taken, (taken,)):
        written = made.__init__ if inspect.isclass(made) and not is_dataclass(made) else made
        hints = typing.get_type_hints(written)
        for name, parameter in inspect.signature(written).parameters.items():
            named = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if named and name not in INNER | found.keys():
                found[name] = hints[name], parameter.default
    return found


def pick(taken, chosen: dict) -> dict:
    """Those of the chosen options that a model or a configuration takes."""
    known = options_of(taken)
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in chosen.items()
        if key in known
    }
