"""The data that the command line trains on: a running text, or sentence pairs.

A class for each of them has the options as its fields, and defines how the corpus is loaded,
tokenized and batched. The command line gets its options from these classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from utils.arguments import check_choice, check_positive
from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import (
    Corpus,
    PairCorpusName,
    TextCorpusName,
    load_pairs,
    load_text,
    split_text,
)
from utils.data.examples import Language, SentencePair
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, WordTokenizer
from utils.files import as_path, read_text_file
from utils.training.protocols import BatchStream

TokenizerName: TypeAlias = Literal["characters", "words", "bpe"]
"""The name of a tokenizer."""

TOKENIZERS: dict[TokenizerName, Any] = {
    "characters": CharTokenizer,
    "words": WordTokenizer,
    "bpe": BPETokenizer,
}
TextOrPairs = TypeVar("TextOrPairs", str, list[SentencePair])


@dataclass(frozen=True, kw_only=True)
class TrainingData(ABC, Generic[TextOrPairs]):
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

    Raises
    ------
    ValueError
        If the tokenizer is unknown.
    """

    corpus: str
    tokenizer: TokenizerName
    vocab_size: int | None
    batch_size: int

    def __post_init__(self) -> None:
        check_choice(TOKENIZERS, tokenizer=self.tokenizer)

    def train_tokenizer(self, corpus: Corpus[TextOrPairs]) -> Tokenizer:
        """Build the tokenizer from the training split."""
        sizes = {} if self.vocab_size is None else {"max_vocab_size": self.vocab_size}
        tokenizer: Tokenizer = TOKENIZERS[self.tokenizer].train(self.texts(corpus.train), **sizes)
        return tokenizer

    @abstractmethod
    def load_corpus(self) -> Corpus[TextOrPairs]:
        """Load the corpus; raise ValueError if there is none of its name."""

    @abstractmethod
    def texts(self, split: TextOrPairs) -> list[str]:
        """Return all texts of a split."""

    def target_texts(self, split: TextOrPairs) -> list[str]:
        """Return the texts of a split that the model predicts."""
        return self.texts(split)

    def num_characters(self, split: TextOrPairs, tokenizer: Tokenizer) -> int | None:
        """Count the characters of the tokens that a model predicts in a split.

        Parameters
        ----------
        split
            The text or the pairs of one split of the corpus.
        tokenizer
            The tokenizer by which the model reads the split.

        Returns
        -------
        num_characters : int or None
            Their number; None if the tokens do not spell the text, as some characters or words are
            outside the vocabulary, or white space is lost.
        """
        texts = self.target_texts(split)
        encoded = [tokenizer.encode(text) for text in texts]
        if any(tokenizer.decode(ids) != text for ids, text in zip(encoded, texts, strict=True)):
            return None
        return sum(map(len, texts)) - sum(len(tokenizer.decode(self.context(x))) for x in encoded)

    def context(self, ids: list[int]) -> list[int]:
        """Return the tokens of a text that the model reads without having predicted them."""
        return []

    @abstractmethod
    def batches(
        self, corpus: Corpus[TextOrPairs], tokenizer: Tokenizer, *, seed: int
    ) -> tuple[BatchStream[Batch], list[Batch]]:
        """Encode the corpus and cut it into batches.

        Parameters
        ----------
        corpus
            The training and validation splits, not yet encoded.
        tokenizer
            A tokenizer trained on the training split.
        seed
            Seed of the order in which the training split is read.

        Returns
        -------
        train : BatchStream
            The batches of the training split as a function of the step.
        valid : list of Batch
            The validation split, each token once.
        """


@dataclass(frozen=True, kw_only=True)
class TextData(TrainingData[str]):
    """A running text, of which a batch holds random windows.

    Parameters
    ----------
    corpus
        Name of a text corpus of the book: tiny_shakespeare.
    file
        Path of a text file to use in place of the corpus: UTF-8, or with a byte order mark UTF-16
        or UTF-32.
    tokenizer
        Name of the tokenizer: characters, words or bpe.
    vocab_size
        Size of the largest vocabulary; by default 4000 for bpe, and no limit for the others.
    batch_size
        Number of windows in a batch.
    context_length
        Number of tokens in a window.

    Raises
    ------
    ValueError
        If the tokenizer is unknown, or `file` is an empty string.
    """

    corpus: TextCorpusName = "tiny_shakespeare"
    file: str | None = None
    tokenizer: TokenizerName = "characters"
    vocab_size: int | None = None
    batch_size: int = 32
    context_length: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file == "":
            raise ValueError("file is empty: expected the name of a text file")

    def load_corpus(self) -> Corpus[str]:
        """Load the corpus, or split the file like a corpus.

        Raises
        ------
        ValueError
            If there is no such corpus, or the file is not text.
        OSError
            If the file cannot be read.
        """
        if self.file is None:
            return load_text(self.corpus)
        path = as_path(self.file)
        try:
            text = read_text_file(path)
        except ValueError as error:
            raise ValueError(f"file: {error}") from error
        return split_text(path.name, "real", text)

    def texts(self, split: str) -> list[str]:
        """Return the text of a split, as a list of one."""
        return [split]

    def context(self, ids: list[int]) -> list[int]:
        """Return the first token of a text."""
        return ids[:1]

    def batches(
        self, corpus: Corpus[str], tokenizer: Tokenizer, *, seed: int
    ) -> tuple[BatchStream[Batch], list[Batch]]:
        """Encode the text and cut it into windows.

        Parameters
        ----------
        corpus, tokenizer, seed
            See `TrainingData`; the seed determines which training windows are drawn.

        Returns
        -------
        train : BatchStream
            Random windows of the training split as a function of the step.
        valid : list of Batch
            Windows of the validation split, each token once.

        Raises
        ------
        ValueError
            If a size is not a positive integer, or the text too short for it.
        """
        B, T = self.batch_size, self.context_length
        check_positive(batch_size=B, context_length=T)
        train, valid = (tokenizer.encode(split) for split in (corpus.train, corpus.valid))
        try:
            train_stream = TextBatches(train, batch_size=B, context_length=T, seed=seed)
            return train_stream, text_eval_batches(valid, batch_size=B, context_length=T)
        except ValueError as error:
            raise ValueError(f"{corpus.name} is too short: {error}") from error


@dataclass(frozen=True, kw_only=True)
class PairData(TrainingData[list[SentencePair]]):
    """Sentence pairs for translation, with one vocabulary for both languages.

    Parameters
    ----------
    corpus
        Name of a corpus of sentence pairs of the book: multi30k or tatoeba.
    source_language
        The language to translate from: de, en or fr of multi30k, en or zh of tatoeba.
    target_language
        The language to translate into, another one of these.
    tokenizer
        Name of the tokenizer: characters, words or bpe.
    vocab_size
        Size of the largest vocabulary; null for the tokenizer's default: 4000 for bpe, and no limit
        for the others.
    batch_size
        Number of pairs in a batch; a source length with fewer pairs gives smaller batches.
    """

    corpus: PairCorpusName = "multi30k"
    source_language: Language = "de"
    target_language: Language = "en"
    tokenizer: TokenizerName = "bpe"
    vocab_size: int | None = 4000
    batch_size: int = 64

    def load_corpus(self) -> Corpus[list[SentencePair]]:
        """Load the corpus; raise ValueError for an unknown corpus or language."""
        return load_pairs(
            self.corpus, source_language=self.source_language, target_language=self.target_language
        )

    def texts(self, split: list[SentencePair]) -> list[str]:
        """Return the sources and targets of a split, in turn."""
        return [sentence for pair in split for sentence in pair]

    def target_texts(self, split: list[SentencePair]) -> list[str]:
        """Return the targets of a split."""
        return [target for _, target in split]

    def num_characters(self, split: list[SentencePair], tokenizer: Tokenizer) -> int | None:
        """Count the characters of the targets, and one for each end; None as in the base class."""
        num_characters = super().num_characters(split, tokenizer)
        return None if num_characters is None else num_characters + len(split)

    def batches(
        self, corpus: Corpus[list[SentencePair]], tokenizer: Tokenizer, *, seed: int
    ) -> tuple[BatchStream[Batch], list[Batch]]:
        """Encode the pairs and gather them in batches.

        Parameters
        ----------
        corpus, tokenizer, seed
            See `TrainingData`; the seed determines the order of the training pairs.

        Returns
        -------
        train : BatchStream
            The training pairs as a function of the step.
        valid : list of Batch
            The validation pairs, each once.
        """
        train, valid = (encode_pairs(split, tokenizer) for split in (corpus.train, corpus.valid))
        train_stream = PairBatches(train, batch_size=self.batch_size, seed=seed)
        return train_stream, pair_eval_batches(valid, batch_size=self.batch_size)
