"""The vocabulary: its order, its limits, and ids outside it."""

import pytest

from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import SPECIAL_TOKENS, UNK, Vocabulary


def test_the_most_frequent_tokens_come_first_and_rare_ones_are_left_out():
    limited = WordTokenizer.train("b b a c c c", max_size=6)
    assert limited.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    frequent = WordTokenizer.train("b b a c c c", min_count=2)
    assert frequent.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    assert len(Vocabulary.from_tokens([], max_size=4)) == 4  # only the special tokens


def test_a_vocabulary_too_small_or_with_repeats_is_refused():
    with pytest.raises(ValueError, match="special tokens need room"):
        Vocabulary.from_tokens("abc", max_size=1)
    with pytest.raises(ValueError, match="repeated"):
        Vocabulary(["a", "a"])


def test_tokens_and_ids_are_one_to_one():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.to_ids(["b", "z", "<eos>"]) == [5, UNK, 2]
    assert vocabulary.to_tokens([4, 3]) == ["a", "<unk>"]
    for wrong_id in (-1, 6):
        with pytest.raises(ValueError, match="outside this vocabulary"):
            vocabulary.to_tokens([wrong_id])
