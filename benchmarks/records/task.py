"""Multi30k from one language to another: the data of the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from utils.data.corpora import Multi30kTest, load_pairs
from utils.data.examples import Language, SentencePair
from utils.data.pair_batches import IdPair, encode_pairs
from utils.data.tokenizers import BPETokenizer

TESTS: tuple[Multi30kTest, ...] = ("test_2016_flickr", "test_2017_flickr")


@dataclass(frozen=True)
class PairTask:
    """Sentence pairs, their ids, and the tokenizer that both languages share.

    Parameters
    ----------
    tokenizer
        Byte-pair encoding of cased text, trained on the training text of both languages.
    train, valid
        Ids of the training and of the validation pairs.
    valid_pairs
        The validation pairs as text.
    tests
        The pairs of each test set as text, which nothing is chosen on.
    origin
        Where the data come from: "real" or "stand-in".
    """

    tokenizer: BPETokenizer
    train: list[IdPair]
    valid: list[IdPair]
    valid_pairs: list[SentencePair]
    tests: Mapping[Multi30kTest, list[SentencePair]]
    origin: str

    @classmethod
    def load(cls, source: Language, target: Language, *, vocab_size: int) -> PairTask:
        """Load the corpus, train the tokenizer and encode the pairs.

        Parameters
        ----------
        source, target
            The languages to translate from and into.
        vocab_size
            The largest number of pieces.

        Returns
        -------
        task : PairTask
            The task.
        """
        corpora = {
            test: load_pairs("multi30k", source_language=source, target_language=target, test=test)
            for test in TESTS
        }
        corpus = corpora[TESTS[0]]
        sentences = [sentence for pair in corpus.train for sentence in pair]
        tokenizer = BPETokenizer.train(sentences, max_vocab_size=vocab_size)
        train, valid = (encode_pairs(pairs, tokenizer) for pairs in (corpus.train, corpus.valid))
        tests = {test: each.test for test, each in corpora.items()}
        return cls(tokenizer, train, valid, corpus.valid, tests, corpus.origin)
