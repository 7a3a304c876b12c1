"""The paired test of two systems: exact on few sentences, and by random exchanges on many."""

import itertools
import math
import statistics

import pytest

from tests.helpers.captions import HYPOTHESES, REFERENCES
from utils.metrics.significance import paired_bleu_p_value
from utils.metrics.text import bleu

FIRST = [*HYPOTHESES, "A dog runs on the beach.", "Two men are working."]
SECOND = [*REFERENCES[:2], *HYPOTHESES[2:], "A dog is at the beach.", "Two men work in a shop."]
SIX_REFERENCES = [*REFERENCES, "A dog runs along the beach.", "Two men work in a workshop."]


def numbered_texts(count):
    return [f"A man in an orange hat looks at picture {i} ." for i in range(count)]


def two_systems_of_twelve():
    """Two systems that differ in eleven sentences, and their references."""
    texts = numbered_texts(12)
    first = [text.replace("orange hat", "cap") if i % 3 else text for i, text in enumerate(texts)]
    second = [text.replace("looks", "is") if i % 4 else text for i, text in enumerate(texts)]
    return first, second, texts


def p_value_of_all_exchanges(first, second, references, **options):
    """The equation eq-randomization over all 2ⁿ exchanges of n sentences."""

    def difference(coins):
        pairs = [(b, a) if c else (a, b) for a, b, c in zip(first, second, coins, strict=True)]
        left, right = zip(*pairs, strict=True)
        return abs(bleu(left, references, **options) - bleu(right, references, **options))

    n = len(first)
    actual = difference([0] * n)
    return statistics.mean(
        difference(coins) >= actual - 1e-9 for coins in itertools.product((0, 1), repeat=n)
    )


def test_a_system_that_is_worse_everywhere_differs_significantly():
    texts = numbered_texts(60)
    worse = [text.replace("orange hat", "cap") for text in texts]
    assert paired_bleu_p_value(texts, worse, texts, num_trials=200) < 0.01


def test_systems_that_are_worse_by_turns_do_not_differ_significantly():
    texts = numbered_texts(60)
    worse = [text.replace("orange hat", "cap") for text in texts]
    one = [worse[i] if i % 2 else text for i, text in enumerate(texts)]
    other = [text if i % 2 else worse[i] for i, text in enumerate(texts)]
    assert paired_bleu_p_value(one, other, texts, num_trials=200) > 0.3


def test_equal_hypotheses_have_the_p_value_one():
    assert paired_bleu_p_value(HYPOTHESES, HYPOTHESES, REFERENCES) == 1


@pytest.mark.parametrize("references", [SIX_REFERENCES, [SIX_REFERENCES, FIRST]])
def test_the_paired_test_is_exact_on_few_sentences(references):
    """Ties count: the real assignment itself, and its mirror image, are as large as it is."""
    p = paired_bleu_p_value(FIRST, SECOND, references)
    assert p == p_value_of_all_exchanges(FIRST, SECOND, references)


def test_only_sentences_that_differ_are_exchanged():
    p = paired_bleu_p_value(FIRST, SECOND, SIX_REFERENCES)
    assert 1 / 16 < p < 1
    assert p * 16 == int(p * 16), "four of six sentences differ"


def test_the_exchanges_of_few_differing_sentences_among_many_are_all_evaluated():
    """Four of forty sentences differ: sixteen exchanges, where forty would have 2⁴⁰."""
    texts = numbered_texts(40)
    first, second = list(texts), list(texts)
    first[3] = first[3].replace("orange hat", "cap")
    second[7] = second[7].replace("looks at", "is near")
    first[20] = first[20].replace("picture", "a painting of")
    second[30] = "A man"
    assert paired_bleu_p_value(first, second, texts) == 10 / 16
    assert paired_bleu_p_value(first, second, texts, num_trials=16) == 10 / 16
    assert paired_bleu_p_value(first, second, texts, num_trials=15) * 16 % 1 == 0, "(c + 1) / 16"


def test_a_second_list_of_references_changes_the_p_value():
    p = paired_bleu_p_value(FIRST, SECOND, SIX_REFERENCES)
    assert paired_bleu_p_value(FIRST, SECOND, [SIX_REFERENCES, FIRST]) != p


def test_the_order_of_the_systems_does_not_matter():
    p = paired_bleu_p_value(FIRST, SECOND, SIX_REFERENCES)
    assert paired_bleu_p_value(SECOND, FIRST, SIX_REFERENCES) == p


@pytest.mark.parametrize("num_trials", [1, 200, 10_000])
def test_one_different_sentence_of_many_is_not_significant(num_trials):
    """Each exchange gives the same difference, or its negative."""
    texts = numbered_texts(100)
    changed = [*texts[:99], "something else"]
    assert paired_bleu_p_value(texts, changed, texts, num_trials=num_trials) == 1


def test_random_exchanges_approximate_all_of_them():
    systems, trials = two_systems_of_twelve(), 2000  # not enough for all 2,048 exchanges
    exact = paired_bleu_p_value(*systems, num_trials=2048)
    estimate = paired_bleu_p_value(*systems, num_trials=trials)
    assert 0.05 < exact < 0.95
    assert estimate != exact
    assert abs(estimate - exact) < 5 * math.sqrt(exact * (1 - exact) / trials)
    num_as_large = estimate * (trials + 1) - 1
    assert num_as_large == pytest.approx(round(num_as_large))


def test_random_exchanges_are_seeded():
    systems = two_systems_of_twelve()
    first, second = (paired_bleu_p_value(*systems, num_trials=2000) for _ in range(2))
    assert first == second


def test_texts_and_references_may_come_from_generators():
    first, second, references = two_systems_of_twelve()
    expected = paired_bleu_p_value(first, second, references)
    assert paired_bleu_p_value(iter(first), iter(second), iter(references)) == expected


CHINESE = ["他在学校学习中文", "我们明天去北京", "她喜欢喝热茶", "这本书很有意思"]
WORSE = ["他在学习校中文学", "我明天去了北京", "她喜喝欢热的茶", "这书本有很意思"]


@pytest.mark.parametrize(
    "first, second, references, options",
    [
        (CHINESE, WORSE, CHINESE, {"tokenize": "zh"}),
        ([text.upper() for text in FIRST], SECOND, SIX_REFERENCES, {"lowercase": True}),
    ],
    ids=["zh", "lowercase"],
)
def test_the_texts_are_compared_as_bleu_reads_them(first, second, references, options):
    """Without its tokenizer a Chinese sentence is one word, and no system has a match."""
    p = paired_bleu_p_value(first, second, references, **options)
    assert p == p_value_of_all_exchanges(first, second, references, **options)
    assert p != paired_bleu_p_value(first, second, references)


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match="unknown tokenizer 'chinese'; choose from"):
        paired_bleu_p_value(CHINESE, WORSE, CHINESE, tokenize="chinese")


def test_a_test_without_trials_is_refused():
    with pytest.raises(ValueError, match="num_trials must be a positive integer"):
        paired_bleu_p_value(HYPOTHESES, HYPOTHESES, REFERENCES, num_trials=0)


def test_systems_with_different_numbers_of_hypotheses_are_refused():
    with pytest.raises(ValueError, match="3 hypotheses"):
        paired_bleu_p_value(HYPOTHESES, HYPOTHESES[:3], REFERENCES)
