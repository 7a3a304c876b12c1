"""The vocabulary: its order, its limits, and ids outside it."""

import pytest

from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import SPECIAL_TOKENS, UNK, Vocabulary


def test_the_most_frequent_tokens_come_first_and_rare_ones_are_left_out():
    limited = WordTokenizer.train("b b a c c c", max_vocab_size=6)
    assert limited.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    frequent = WordTokenizer.train("b b a c c c", min_count=2)
    assert frequent.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    assert len(Vocabulary.from_tokens([], max_vocab_size=4)) == 4  # only the special tokens


def test_a_vocabulary_too_small_or_with_repeats_is_refused():
    with pytest.raises(ValueError, match="less than 4 special tokens"):
        Vocabulary.from_tokens("abc", max_vocab_size=1)
    for tokens in (["a", "a"], ["a", "<eos>"]):
        with pytest.raises(ValueError, match="repeated"):
            Vocabulary(tokens)
    for sizes in ({"max_vocab_size": 9.5}, {"min_count": 0}, {"min_count": "2"}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            Vocabulary.from_tokens("abc", **sizes)


def test_a_token_is_a_valid_text():
    for token, message in ((5, "got int"), (b"a", "got bytes"), ("a\ud800", "lone surrogate")):
        with pytest.raises(ValueError, match=message):
            Vocabulary(["a", token])


def test_tokens_and_ids_are_one_to_one():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.to_ids(["b", "z", "<eos>"]) == [5, UNK, 2]
    assert vocabulary.to_tokens([4, 3]) == ["a", "<unk>"]
    for wrong_id in (-1, 6):
        with pytest.raises(ValueError, match="outside this vocabulary"):
            vocabulary.to_tokens([wrong_id])
    for wrong_id in (4.7, True, float("nan"), "4", None):
        with pytest.raises(ValueError, match="token ids must be integers"):
            vocabulary.to_tokens([4, wrong_id])
