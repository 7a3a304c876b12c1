"""The vocabulary: its order, its limits, and ids outside it."""

import pytest

from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import SPECIAL_TOKENS, UNK, Vocabulary, as_ids, check_text


def test_the_most_frequent_tokens_come_first_and_rare_ones_are_left_out():
    limited = WordTokenizer.train("b b a c c c", max_size=6)
    assert limited.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    frequent = WordTokenizer.train("b b a c c c", min_count=2)
    assert frequent.vocab.tokens == [*SPECIAL_TOKENS, "c", "b"]
    assert len(Vocabulary.from_tokens([], max_size=4)) == 4  # only the special tokens


def test_a_vocabulary_too_small_or_with_repeats_is_refused():
    with pytest.raises(ValueError, match="special tokens need room"):
        Vocabulary.from_tokens("abc", max_size=1)
    for tokens in (["a", "a"], ["a", "<eos>"]):
        with pytest.raises(ValueError, match="repeated"):
            Vocabulary(tokens)
    for sizes in ({"max_size": 9.5}, {"min_count": 0}, {"min_count": "2"}):
        with pytest.raises(ValueError, match="must be a positive whole number"):
            Vocabulary.from_tokens("abc", **sizes)


def test_a_token_is_a_valid_text():
    for token, message in ((5, "got int"), (b"a", "got bytes"), ("a\ud800", "lone surrogate")):
        with pytest.raises(ValueError, match=message):
            Vocabulary(["a", token])


def test_a_lone_surrogate_is_named_with_its_position():
    check_text("a \U0001f642")
    with pytest.raises(ValueError, match=r"surrogate '\\udc00' at position 2") as caught:
        check_text("ab\udc00")
    str(caught.value).encode()  # the message itself can be printed anywhere


def test_tokens_and_ids_are_one_to_one():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.to_ids(["b", "z", "<eos>"]) == [5, UNK, 2]
    assert vocabulary.to_tokens([4, 3]) == ["a", "<unk>"]
    for wrong_id in (-1, 6):
        with pytest.raises(ValueError, match="outside this vocabulary"):
            vocabulary.to_tokens([wrong_id])
    for wrong_id in (4.7, True, float("nan"), "4", None):
        with pytest.raises(ValueError, match="token ids are whole numbers"):
            vocabulary.to_tokens([4, wrong_id])


def test_ids_count_from_0():
    assert as_ids([0, 5]) == [0, 5] and as_ids([]) == []
    with pytest.raises(ValueError, match="labels count from 0; got -100"):
        as_ids([3, -100, -1], name="labels")
