"""Tokenizers: text to token ids and back, by characters, words or byte-pair encoding.

Byte-pair encoding comes from Sennrich, Haddow and Birch 2016; its implementation is the
``tokenizers`` library's. A tokenizer is always trained on the training split alone.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from utils.data.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK, Vocabulary, check_ids
from utils.files import write_text_atomically

WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
SPACE_BEFORE_MARK = re.compile(r"\s+([.,;:!?)\]’'])")


class Tokenizer(Protocol):
    """The interface of a tokenizer."""

    def __len__(self) -> int:
        """V, the size of the vocabulary, special tokens included."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without BOS and EOS."""

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without PAD, BOS and EOS."""

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to the file `path`."""


_Self = TypeVar("_Self", bound="_VocabularyTokenizer")


class _VocabularyTokenizer(ABC):
    """A tokenizer that splits a text by a fixed rule and looks the tokens up in a vocabulary.

    Parameters
    ----------
    vocab
        The vocabulary of the tokens that `split` gives.
    """

    file_type: str  # the name of the tokenizer in its saved file

    def __init__(self, vocab: Vocabulary) -> None:
        self.vocab = vocab

    @staticmethod
    @abstractmethod
    def split(text: str) -> list[str]:
        """Return the tokens of `text` as strings."""

    @staticmethod
    @abstractmethod
    def join(tokens: list[str]) -> str:
        """Return the text of `tokens`."""

    @classmethod
    def train(
        cls: type[_Self],
        texts: str | Iterable[str],
        *,
        max_size: int | None = None,
        min_count: int = 1,
    ) -> _Self:
        """Build a tokenizer whose vocabulary is that of the training text.

        Parameters
        ----------
        texts
            A text or several texts, from the training split alone.
        max_size
            The largest size of the vocabulary, special tokens included; None for no limit.
        min_count
            Minimum count of a token; rarer ones become UNK.

        Raises
        ------
        ValueError
            If `max_size` leaves no room for the special tokens.
        """
        tokens = (token for text in _as_texts(texts) for token in cls.split(text))
        return cls(Vocabulary.from_tokens(tokens, max_size=max_size, min_count=min_count))

    def __len__(self) -> int:
        """V, the size of the vocabulary, special tokens included."""
        return len(self.vocab)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without BOS and EOS; unknown tokens become UNK."""
        return self.vocab.to_ids(self.split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without PAD, BOS and EOS; UNK is shown as ``<unk>``.

        Raises
        ------
        ValueError
            If an id lies outside the vocabulary.
        """
        return self.join(self.vocab.to_tokens(i for i in ids if int(i) not in (PAD, BOS, EOS)))

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, completely or not at all."""
        _save(path, self.file_type, tokens=self.vocab.tokens[len(SPECIAL_TOKENS) :])

    @classmethod
    def load(cls: type[_Self], path: str | Path) -> _Self:
        """Read a tokenizer that `save` wrote.

        Raises
        ------
        ValueError
            If the file is another one.
        """
        return cls(Vocabulary(_load(path, cls.file_type)["tokens"]))


class CharTokenizer(_VocabularyTokenizer):
    """One token for each character; a text of known characters is decoded exactly."""

    file_type = "characters"

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the characters of `text`."""
        return list(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        """Return the text of the characters `tokens`."""
        return "".join(tokens)


class WordTokenizer(_VocabularyTokenizer):
    """One token for each word and each punctuation mark.

    The spacing of a text is lost: `decode` gives a readable text, which may differ from the
    original in its spaces.
    """

    file_type = "words"

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the words and punctuation marks of `text`."""
        return WORD_PATTERN.findall(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        """Return `tokens` with a space before each, save before closing punctuation marks."""
        return SPACE_BEFORE_MARK.sub(r"\1", " ".join(tokens))


class BPETokenizer:
    """Byte-level byte-pair encoding: every Unicode text is decoded exactly, and nothing is unknown.

    A space is put in front of each text, so that its first word has the same tokens as inside a
    text; `decode` removes it.

    Parameters
    ----------
    backend
        The trained tokenizer of the ``tokenizers`` library; `BPETokenizer.train` makes it.
    """

    file_type = "bpe"

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend

    @classmethod
    def train(
        cls, texts: str | Iterable[str], *, max_size: int = 4000, min_count: int = 2
    ) -> BPETokenizer:
        """Train a tokenizer: learn its merges from the training text.

        Parameters
        ----------
        texts
            A text or several texts, from the training split alone.
        max_size
            The size of the vocabulary, special tokens and the 256 bytes included.
        min_count
            Minimum count of a pair to be merged.

        Returns
        -------
        tokenizer : BPETokenizer
            The trained tokenizer.

        Raises
        ------
        ValueError
            If `max_size` is less than the 260 special tokens and bytes.
        """
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        needed = len(SPECIAL_TOKENS) + len(alphabet)
        if max_size < needed:
            raise ValueError(f"max_size={max_size}: byte-level BPE needs at least {needed} tokens")
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max_size,
            min_frequency=min_count,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        backend.train_from_iterator((" " + text for text in _as_texts(texts)), trainer)
        return cls(_without_special_tokens_in_text(backend))

    def __len__(self) -> int:
        """V, the size of the vocabulary, special tokens included."""
        return self.backend.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without BOS and EOS; the empty text has none."""
        return self.backend.encode(" " + text).ids if text else []

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each of `texts`, as `encode` does, computed in parallel."""
        encodings = self.backend.encode_batch([" " + text for text in texts])
        return [
            encoding.ids if text else [] for encoding, text in zip(encodings, texts, strict=True)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without the special tokens.

        Raises
        ------
        ValueError
            If an id lies outside the vocabulary.
        """
        ids = [int(i) for i in ids if int(i) not in (PAD, BOS, EOS, UNK)]
        check_ids(ids, len(self))
        return self.backend.decode(ids, skip_special_tokens=False).removeprefix(" ")

    def pieces(self, text: str) -> list[str]:
        """Return the tokens of `text` as readable strings; ▁ marks the start of a word."""
        return [self.backend.decode([i]).replace(" ", "▁") for i in self.encode(text)]

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, completely or not at all."""
        _save(path, self.file_type, tokenizer=json.loads(self.backend.to_str()))

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read a tokenizer that `save` wrote.

        Raises
        ------
        ValueError
            If the file is another one.
        """
        content = _load(path, cls.file_type)
        return cls(tokenizers.Tokenizer.from_str(json.dumps(content["tokenizer"])))


def _without_special_tokens_in_text(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Return a copy that reads "<eos>" typed in a text as letters, not as the special token."""
    content = json.loads(backend.to_str())
    content["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def _as_texts(texts: str | Iterable[str]) -> Iterable[str]:
    """Return `texts`, a single text as a list of one."""
    return [texts] if isinstance(texts, str) else texts


def _save(path: str | Path, file_type: str, **content: Any) -> None:
    """Write a tokenizer of type `file_type` as JSON."""
    text = json.dumps({"kind": file_type, **content}, ensure_ascii=False)
    write_text_atomically(Path(path), text)


def _load(path: str | Path, file_type: str) -> dict[str, Any]:
    """Read what `_save` wrote; raise ValueError if it is not of type `file_type`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a tokenizer that this book saved ({error})") from error
    if not isinstance(content, dict) or content.get("kind") != file_type:
        actual = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} holds {actual!r}, where a {file_type!r} tokenizer was expected")
    return content
