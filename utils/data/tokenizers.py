"""Tokenizers: text to token ids and back, by characters, words or byte-pair encoding.

Byte-pair encoding is that of Sennrich, Haddow and Birch 2016, as implemented in the ``tokenizers``
library. A tokenizer is always trained on the training split alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from utils.arguments import check_integer, check_positive
from utils.conversions import as_integers
from utils.data.checks import check_ids_in_vocabulary, check_text
from utils.data.pretokenization import split_words
from utils.data.tokenizer_base import (
    TextEncoder,
    VocabularyTokenizer,
    read_tokenizer,
    training_texts,
    write_tokenizer,
)
from utils.data.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

# Rust allocates memory for the whole vocabulary before it reads a text, and aborts Python if it
# cannot; the largest vocabularies in use have some 260 000 tokens.
MAX_BPE_VOCAB_SIZE = 10**6
SPACE_BEFORE_MARK = re.compile(r"\s+([.,;:!?)\]}”’'])")
SPACE_AFTER_MARK = re.compile(r"([(\[{“‘])\s+")


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


class CharTokenizer(VocabularyTokenizer):
    """One token for each character; a text of known characters is decoded exactly.

    Examples
    --------
    >>> from utils.data.tokenizers import CharTokenizer
    >>> tokenizer = CharTokenizer.train("hello")
    >>> tokenizer.encode("hole")
    [6, 7, 4, 5]
    >>> tokenizer.decode([5, 6, 4, 5])
    'ehle'
    """

    kind = "characters"

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the characters of `text`."""
        return list(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        """Return the text of the characters `tokens`."""
        return "".join(tokens)


class WordTokenizer(VocabularyTokenizer):
    """One token for each word and each punctuation mark, with combining marks.

    Spacing is not preserved: `decode` returns a readable text, which may differ from the original
    in its spaces.

    Examples
    --------
    >>> from utils.data.tokenizers import WordTokenizer
    >>> tokenizer = WordTokenizer.train("I see, and I hear.")
    >>> tokenizer.encode("I hear, and I fly.")
    [4, 8, 5, 7, 4, 3, 6]
    >>> tokenizer.decode(tokenizer.encode("I hear, and I fly."))
    'I hear, and I <unk>.'
    """

    kind = "words"

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the words and punctuation marks of `text`."""
        return split_words(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        """Return `tokens` joined by spaces, with none inside brackets and before closing marks."""
        return SPACE_AFTER_MARK.sub(r"\1", SPACE_BEFORE_MARK.sub(r"\1", " ".join(tokens)))


class BPETokenizer(TextEncoder):
    """Byte-level byte-pair encoding: every Unicode text is decoded exactly, and nothing is unknown.

    A space is added in front of each text, so that its first word is tokenized as inside a text;
    `decode` removes it. A text that follows a special token (`encode` with `allow_special`) has
    such a space too, which `decode` keeps: it separates the texts, whose special tokens are left
    out.

    Parameters
    ----------
    backend
        The trained tokenizer of the ``tokenizers`` library, as built by `BPETokenizer.train`.

    Examples
    --------
    >>> from utils.data.tokenizers import BPETokenizer
    >>> tokenizer = BPETokenizer.train(["low lower lowest"] * 10, max_vocab_size=266)
    >>> tokenizer.pieces("a lower wall")
    ['▁', 'a', '▁lower', '▁', 'w', 'a', 'l', 'l']
    >>> tokenizer.decode(tokenizer.encode("a lower wall"))
    'a lower wall'
    """

    kind = "bpe"

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        *,
        max_vocab_size: int = 4000,
        min_count: int = 2,
        allow_special: bool = False,
    ) -> BPETokenizer:
        """Train a tokenizer: learn its merges from the training text.

        Parameters
        ----------
        texts
            A text or several texts, from the training split alone.
        max_vocab_size
            The largest size of the vocabulary, special tokens and the 256 bytes included; at most
            10⁶.
        min_count
            Minimum count of a pair to be merged.
        allow_special
            Whether the strings of special tokens are left out of the training text, as in `encode`.

        Returns
        -------
        tokenizer : BPETokenizer
            The trained tokenizer.

        Raises
        ------
        ValueError
            If a size or count is not a positive integer, `max_vocab_size` is less than the 260
            special tokens and bytes or more than 10⁶, or one of `texts` is not a valid text.
        """
        check_positive(max_vocab_size=max_vocab_size, min_count=min_count)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        needed = len(SPECIAL_TOKENS) + len(alphabet)
        if max_vocab_size < needed:
            raise ValueError(
                f"max_vocab_size={max_vocab_size}: byte-level BPE needs at least {needed} tokens"
            )
        check_integer(minimum=needed, maximum=MAX_BPE_VOCAB_SIZE, max_vocab_size=max_vocab_size)
        backend = _byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=max_vocab_size,
            min_frequency=min(min_count, 2**63),  # no pair is as frequent, and Rust takes no more
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        parts = training_texts(texts, allow_special=allow_special)
        backend.train_from_iterator((" " + part for part in parts), trainer)
        return cls(_without_special_tokens_in_text(backend))

    def __len__(self) -> int:
        """V, the size of the vocabulary, special tokens included."""
        return self.backend.get_vocab_size()

    def _encode(self, text: str, *, is_start: bool) -> list[int]:
        """Return the ids of a part of a text, with a space in front of its start."""
        return self.backend.encode(" " + text if is_start and text else text).ids

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the ids of each of `texts`, as `encode` does, computed in parallel.

        Raises
        ------
        ValueError
            If `texts` is one text instead of several, or one of them is not a valid text.
        """
        if isinstance(texts, str):  # an iterable of its characters
            raise ValueError(f"got {texts!r}; give a list of texts, or encode one text by encode")
        texts = list(texts)  # they are read several times
        for text in texts:
            check_text(text)
        encodings = self.backend.encode_batch([" " + text for text in texts])
        return [
            encoding.ids if text else [] for encoding, text in zip(encodings, texts, strict=True)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without the special tokens.

        Raises
        ------
        ValueError
            If an id is not an integer or lies outside the vocabulary.
        """
        ids = [i for i in as_integers(ids) if i not in (PAD, BOS, EOS, UNK)]
        check_ids_in_vocabulary(ids, len(self))
        return self.backend.decode(ids, skip_special_tokens=False).removeprefix(" ")

    def pieces(self, text: str) -> list[str]:
        """Return the tokens of `text` as readable strings; ▁ marks the start of a word."""
        return [self.backend.decode([i]).replace(" ", "▁") for i in self.encode(text)]

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, completely or not at all."""
        write_tokenizer(path, self.kind, tokenizer=json.loads(self.backend.to_str()))

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read a tokenizer that `save` wrote.

        Raises
        ------
        ValueError
            If the file is not a tokenizer of this class.
        """
        return read_tokenizer(
            path, cls.kind, lambda content: cls(_as_backend(content["tokenizer"]))
        )


def _byte_level(model: models.BPE) -> tokenizers.Tokenizer:
    """Return a tokenizer of bytes with these merges."""
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _without_special_tokens_in_text(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Return a copy that encodes the string "<eos>" as plain text, not as the special token."""
    content = json.loads(backend.to_str())
    content["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def _as_backend(content: Any) -> tokenizers.Tokenizer:
    """Return the tokenizer from JSON values; raise ValueError if `save` did not write them."""
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    stored = json.loads(backend.to_str())  # in the form of the installed version
    vocab, merges = stored["model"]["vocab"], stored["model"]["merges"]
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError(f"its {len(vocab)} tokens do not have the ids 0 to {len(vocab) - 1}")
    if tuple(map(backend.id_to_token, range(len(SPECIAL_TOKENS)))) != SPECIAL_TOKENS:
        raise ValueError(f"its first tokens are not {', '.join(SPECIAL_TOKENS)}")
    if missing := set(pre_tokenizers.ByteLevel.alphabet()) - vocab.keys():
        raise ValueError(f"its vocabulary lacks {len(missing)} of the 256 bytes")
    rebuilt = _byte_level(models.BPE(vocab, list(map(tuple, merges))))
    if json.loads(rebuilt.to_str()) != stored:
        raise ValueError("its settings are not those of byte-level BPE in this book")
    return backend
