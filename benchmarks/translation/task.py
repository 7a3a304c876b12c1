"""Multi30k, German to English: data of the benchmarks ``translation`` and ``translation_speed``."""

from __future__ import annotations

from dataclasses import dataclass

from utils.data.corpora import Corpus, load_pairs
from utils.data.examples import SentencePair
from utils.data.pair_batches import IdPair, encode_pairs
from utils.data.tokenizers import BPETokenizer

VOCAB_SIZE = 4000  # pieces
BEAM_SIZE = 5
MAX_LENGTH = 60  # tokens of a translation


@dataclass(frozen=True)
class TranslationTask:
    """The sentences, their ids and the tokenizer that all models share.

    Parameters
    ----------
    corpus
        The sentences as text.
    tokenizer
        Byte-pair encoding of cased text, trained on the training text of both languages.
    train, valid
        Ids of the training and of the validation pairs.
    """

    corpus: Corpus[list[SentencePair]]
    tokenizer: BPETokenizer
    train: list[IdPair]
    valid: list[IdPair]

    @classmethod
    def load(cls) -> TranslationTask:
        """Load the corpus, train the tokenizer and encode the pairs."""
        corpus = load_pairs("multi30k", source_language="de", target_language="en")
        sentences = [sentence for pair in corpus.train for sentence in pair]
        tokenizer = BPETokenizer.train(sentences, max_vocab_size=VOCAB_SIZE)
        train, valid = (encode_pairs(pairs, tokenizer) for pairs in (corpus.train, corpus.valid))
        return cls(corpus, tokenizer, train, valid)
