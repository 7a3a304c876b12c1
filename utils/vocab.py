"""Text to ids and back: vocabularies and the character, word and BPE tokenizers.

Used from section 2.1 on. Byte-pair encoding: Sennrich, Haddow and Birch 2016; the fast version is
the ``tokenizers`` library's. A vocabulary is always made from the training split only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from utils import runtime

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Vocab:
    """A bijection between tokens and ids 0 … V−1; the first four are the special ones."""

    def __init__(self, tokens: Iterable[str]):
        """`tokens`: the ordinary tokens in id order, without repeats and without the specials."""
        self.tokens = [*SPECIALS, *tokens]
        self.index = {token: i for i, token in enumerate(self.tokens)}
        if len(self.index) != len(self.tokens):
            repeated = [t for t, n in Counter(self.tokens).items() if n > 1]
            raise ValueError(f"a vocabulary lists each token once; repeated: {repeated[:5]}")

    @classmethod
    def count(cls, tokens: Iterable[str], max_size: int | None = None, min_count: int = 1) -> Vocab:
        """The most frequent tokens, ties in alphabetical order; `max_size` includes the specials.

        Raises ValueError where `max_size` leaves no room for the specials.
        """
        if max_size is not None and max_size < len(SPECIALS):
            raise ValueError(f"max_size={max_size}, but {len(SPECIALS)} special tokens need room")
        counts = sorted(Counter(tokens).items(), key=lambda pair: (-pair[1], pair[0]))
        kept = [token for token, n in counts if n >= min_count and token not in SPECIALS]
        return cls(kept if max_size is None else kept[: max_size - len(SPECIALS)])

    def __len__(self) -> int:
        return len(self.tokens)

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of `tokens`; an unseen token becomes UNK."""
        return [self.index.get(token, UNK) for token in tokens]

    def words(self, ids: Iterable[int]) -> list[str]:
        """Tokens of `ids`. Raises ValueError for an id outside 0 … V−1."""
        ids = [int(i) for i in ids]
        wrong = [i for i in ids if not 0 <= i < len(self)]
        if wrong:
            raise ValueError(f"ids {wrong[:5]} lie outside this vocabulary of {len(self)} tokens")
        return [self.tokens[i] for i in ids]


class _VocabTokenizer:
    """What the character and word tokenizers share: a Vocab, and a way to split and join."""

    kind: str

    def __init__(self, vocab: Vocab):
        self.vocab = vocab

    @classmethod
    def train(cls, texts: str | Iterable[str], max_size: int | None = None, min_count: int = 1):
        """Collect the vocabulary of `texts` (a text, or an iterable of texts): training text only.

        `max_size` counts the four specials; tokens seen fewer than `min_count` times become UNK.
        """
        tokens = (token for text in _as_texts(texts) for token in cls.split(text))
        return cls(Vocab.count(tokens, max_size, min_count))

    def __len__(self) -> int:
        return len(self.vocab)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without BOS or EOS; what the vocabulary lacks becomes UNK."""
        return self.vocab.ids(self.split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; PAD, BOS and EOS are left out, UNK is shown as <unk>."""
        return self.join(self.vocab.words(i for i in ids if int(i) not in (PAD, BOS, EOS)))

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, all or nothing."""
        content = {"kind": self.kind, "tokens": self.vocab.tokens[len(SPECIALS) :]}
        runtime.write_text(Path(path), json.dumps(content, ensure_ascii=False))

    @classmethod
    def load(cls, path: str | Path):
        """Read a tokenizer that `save` wrote. Raises ValueError for another kind of file."""
        content = _read(path, cls.kind)
        return cls(Vocab(content["tokens"]))


class CharTokenizer(_VocabTokenizer):
    """One token a character. Round-trips exactly on text made of known characters."""

    kind = "characters"

    @staticmethod
    def split(text: str) -> list[str]:
        return list(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        return "".join(tokens)


class WordTokenizer(_VocabTokenizer):
    """Words and punctuation marks; spacing is lost, so `decode` gives readable, not equal, text."""

    kind = "words"

    @staticmethod
    def split(text: str) -> list[str]:
        return WORD.findall(text)

    @staticmethod
    def join(tokens: list[str]) -> str:
        return re.sub(r"\s+([.,;:!?)\]’'])", r"\1", " ".join(tokens))


class BPETokenizer:
    """Byte-level byte-pair encoding: every Unicode text round-trips, and nothing is unknown.

    A space is put in front of the text, so that a word has the same pieces at the start as inside;
    `decode` takes it away again.
    """

    kind = "bpe"

    def __init__(self, fast: tokenizers.Tokenizer):
        self.fast = fast

    @classmethod
    def train(cls, texts: str | Iterable[str], max_size: int = 4000, min_count: int = 2):
        """Learn merges from `texts` until `max_size` tokens (specials and 256 bytes included).

        Raises ValueError where `max_size` is below those 260.
        """
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        least = len(SPECIALS) + len(alphabet)
        if max_size < least:
            raise ValueError(f"max_size={max_size}: byte-level BPE needs at least {least} tokens")
        fast = tokenizers.Tokenizer(models.BPE())
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        fast.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max_size,
            min_frequency=min_count,
            special_tokens=list(SPECIALS),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        fast.train_from_iterator((" " + text for text in _as_texts(texts)), trainer)
        return cls(_with_literal_specials(fast))

    def __len__(self) -> int:
        return self.fast.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without BOS or EOS; the empty text has none."""
        return self.fast.encode(" " + text).ids if text else []

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """`encode` for many texts at once, in parallel."""
        found = self.fast.encode_batch([" " + text for text in texts])
        return [e.ids if text else [] for e, text in zip(found, texts, strict=True)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; the special ones are left out. Raises ValueError for an unknown id."""
        ids = [int(i) for i in ids if int(i) not in (PAD, BOS, EOS, UNK)]
        wrong = [i for i in ids if not 0 <= i < len(self)]
        if wrong:
            raise ValueError(f"ids {wrong[:5]} lie outside this vocabulary of {len(self)} tokens")
        return self.fast.decode(ids, skip_special_tokens=False).removeprefix(" ")

    def pieces(self, text: str) -> list[str]:
        """The pieces of `text` as readable strings; a leading ▁ marks the start of a word."""
        return [self.fast.decode([i]).replace(" ", "▁") for i in self.encode(text)]

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file, all or nothing."""
        content = {"kind": self.kind, "tokenizer": json.loads(self.fast.to_str())}
        runtime.write_text(Path(path), json.dumps(content, ensure_ascii=False))

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read a tokenizer that `save` wrote. Raises ValueError for another kind of file."""
        content = _read(path, cls.kind)
        return cls(tokenizers.Tokenizer.from_str(json.dumps(content["tokenizer"])))


def _with_literal_specials(fast: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer, reading "<eos>" typed in a text as letters, not as the special token."""
    content = json.loads(fast.to_str())
    content["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def _as_texts(texts: str | Iterable[str]) -> Iterable[str]:
    return [texts] if isinstance(texts, str) else texts


def _read(path: str | Path, kind: str) -> dict:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a tokenizer that this book saved ({error})") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        found = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} holds {found!r}, where a {kind!r} tokenizer was expected")
    return content
