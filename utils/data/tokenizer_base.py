"""Base classes of tokenizers: encoding of short and of long texts, vocabularies, and files.

The tokenizers themselves are in ``utils.data.tokenizers``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from utils.arguments import check_bool
from utils.conversions import as_integers
from utils.data.checks import check_text
from utils.data.pretokenization import cut_into_parts, split_special_tokens
from utils.data.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, Vocabulary
from utils.files import as_path, write_text_atomically

LoadedTokenizer = TypeVar("LoadedTokenizer")
_Self = TypeVar("_Self", bound="VocabularyTokenizer")


class TextEncoder(ABC):
    """The base class of tokenizers: encodes whole texts and long ones, with special tokens."""

    @abstractmethod
    def _encode(self, text: str, *, is_start: bool) -> list[int]:
        """Return the ids of a part of a text, which is or is not its start."""

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`, without BOS and EOS around it.

        Characters or words outside the vocabulary become UNK, except with byte-pair encoding.

        Parameters
        ----------
        text
            What to encode.
        allow_special
            Whether the strings of special tokens, such as ``<eos>``, become the ids of these
            tokens, and what is between them is encoded as a separate text; by default they are
            plain text.

        Returns
        -------
        ids : list of int
            One id of the vocabulary for each token.

        Raises
        ------
        ValueError
            If `text` is not a valid text, or `allow_special` is neither True nor False.
        """
        check_text(text)
        check_bool(allow_special=allow_special)
        return list(self._encode_parts([text], allow_special))

    def encode_iterable(
        self, chunks: str | Iterable[str], *, allow_special: bool = False
    ) -> Iterator[int]:
        """Yield the ids of a text that is larger than memory, the same as those of `encode`.

        ``numpy.fromiter(tokenizer.encode_iterable(file), numpy.uint16)`` takes two bytes per token.

        Parameters
        ----------
        chunks
            The text in chunks, cut anywhere, such as the lines of an open file.
        allow_special
            As in `encode`.

        Yields
        ------
        id : int
            The next id.

        Raises
        ------
        ValueError
            If a chunk is not a valid text, or `allow_special` is neither True nor False.
        """
        check_bool(allow_special=allow_special)
        yield from self._encode_parts(cut_into_parts(chunks), allow_special)

    def _encode_parts(self, parts: Iterable[str], allow_special: bool) -> Iterator[int]:
        """Yield the ids of a text in parts whose boundaries no token crosses."""
        is_start = True
        for part in parts:
            for piece in split_special_tokens(part) if allow_special else [part]:
                is_special = allow_special and piece in SPECIAL_TOKENS
                if is_special:
                    yield SPECIAL_TOKENS.index(piece)
                else:
                    yield from self._encode(piece, is_start=is_start)
                is_start = is_special


class VocabularyTokenizer(TextEncoder):
    """The base class of tokenizers that split a text by a fixed rule and have a vocabulary.

    Parameters
    ----------
    vocab
        The vocabulary of the tokens that `split` returns.
    """

    kind: str  # of tokenizer: its name in a saved file

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
        max_vocab_size: int | None = None,
        min_count: int = 1,
        allow_special: bool = False,
    ) -> _Self:
        """Build a tokenizer with the vocabulary of the training text.

        Parameters
        ----------
        texts
            A text or several texts, from the training split alone.
        max_vocab_size
            The largest size of the vocabulary, special tokens included; None for no limit.
        min_count
            Minimum count of a token; rarer ones become UNK.
        allow_special
            Whether the strings of special tokens are left out of the training text, as in `encode`.

        Returns
        -------
        tokenizer : VocabularyTokenizer
            The tokenizer, of this class.

        Raises
        ------
        ValueError
            If a size or count is not a positive integer, `max_vocab_size` is less than the number
            of special tokens, or one of `texts` is not a valid text.
        """
        parts = training_texts(texts, allow_special=allow_special)
        tokens = (token for part in parts for token in cls.split(part))
        return cls(
            Vocabulary.from_tokens(tokens, max_vocab_size=max_vocab_size, min_count=min_count)
        )

    def __len__(self) -> int:
        """V, the size of the vocabulary, special tokens included."""
        return len(self.vocab)

    def _encode(self, text: str, *, is_start: bool) -> list[int]:
        """Return the ids of a part of a text; unknown tokens become UNK."""
        return self.vocab.to_ids(self.split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without PAD, BOS and EOS; UNK becomes ``<unk>``.

        Raises
        ------
        ValueError
            If an id is not an integer or lies outside the vocabulary.
        """
        ids = as_integers(ids)
        return self.join(self.vocab.to_tokens(i for i in ids if i not in (PAD, BOS, EOS)))

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, completely or not at all."""
        write_tokenizer(path, self.kind, tokens=self.vocab.tokens[len(SPECIAL_TOKENS) :])

    @classmethod
    def load(cls: type[_Self], path: str | Path) -> _Self:
        """Read a tokenizer that `save` wrote.

        Raises
        ------
        ValueError
            If the file is not a tokenizer of this class.
        """
        return read_tokenizer(path, cls.kind, lambda content: cls(Vocabulary(content["tokens"])))


def training_texts(texts: str | Iterable[str], *, allow_special: bool) -> Iterator[str]:
    """Yield the training texts of a tokenizer; with `allow_special` split at special tokens.

    Raises
    ------
    ValueError
        If one of `texts` is not a valid text, or `allow_special` is neither True nor False.
    """
    check_bool(allow_special=allow_special)
    if not isinstance(texts, Iterable):
        raise ValueError(f"expected a text or several texts, got {texts!r}")
    for text in [texts] if isinstance(texts, str) else texts:
        check_text(text)
        for part in split_special_tokens(text) if allow_special else [text]:
            if not (allow_special and part in SPECIAL_TOKENS):
                yield part


def write_tokenizer(path: str | Path, kind: str, **content: Any) -> None:
    """Write a tokenizer to a JSON file, completely or not at all.

    Parameters
    ----------
    path
        The file; missing folders are created, and ``~`` is the home folder.
    kind
        The name of the tokenizer's class in its file.
    **content
        The content of the tokenizer, as JSON values.
    """
    text = json.dumps({"kind": kind, **content}, ensure_ascii=False)
    write_text_atomically(as_path(path), text)


def read_tokenizer(
    path: str | Path, kind: str, build: Callable[[dict[str, Any]], LoadedTokenizer]
) -> LoadedTokenizer:
    """Read what `write_tokenizer` wrote.

    Parameters
    ----------
    path
        The file.
    kind
        The name of the tokenizer's class in its file.
    build
        Builds the tokenizer from the file's content.

    Returns
    -------
    tokenizer : LoadedTokenizer
        The result of `build`.

    Raises
    ------
    ValueError
        If the file is not such a tokenizer, or is damaged.
    """
    path = as_path(path)
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # a RecursionError of very deep nesting
        raise ValueError(f"{path} is not a tokenizer that this book saved ({error})") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        actual = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} contains {actual!r}; expected a {kind!r} tokenizer")
    try:
        return build(content)
    except Exception as error:
        raise ValueError(f"{path} is a damaged tokenizer ({error!r})") from error
