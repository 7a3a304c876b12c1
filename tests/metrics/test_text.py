"""BLEU and chrF against sacrebleu, and the diversity of generated texts."""

import pytest
import sacrebleu
import torch

from tests.helpers.captions import HYPOTHESES, REFERENCES
from utils.metrics.text import bleu, bleu_interval, chrf, distinct_n, self_bleu


def score_of_interval(hypotheses, references, **options):
    return bleu_interval(hypotheses, references, **options).score


every_bleu = pytest.mark.parametrize("score", [bleu, score_of_interval])
every_score = pytest.mark.parametrize("score", [bleu, score_of_interval, chrf])

# ---- BLEU ---------------------------------------------------------------------------------------


@every_bleu
def test_bleu_is_that_of_sacrebleu(score):
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert score(HYPOTHESES, REFERENCES) == pytest.approx(expected)


def test_bleu_alone_is_the_score_of_the_interval():
    assert bleu(HYPOTHESES, REFERENCES) == bleu_interval(HYPOTHESES, REFERENCES).score


@every_bleu
def test_bleu_of_empty_hypotheses_is_zero(score):
    assert score([""] * 4, REFERENCES) == 0


@every_bleu
def test_case_counts_unless_it_is_ignored(score):
    lower = [text.lower() for text in REFERENCES]
    assert score(lower, REFERENCES) < 95
    assert score(lower, REFERENCES, lowercase=True) == pytest.approx(100)


def test_bleu_splits_chinese_into_characters():
    hypotheses, references = ["一个男人在公园里跑步。"], ["一个女人在公园里跑步。"]
    assert bleu(hypotheses, references, tokenize="zh") > 50


@pytest.mark.parametrize("measure", [bleu, bleu_interval])
def test_an_unknown_tokenizer_is_refused_with_the_names_of_the_known_ones(measure):
    with pytest.raises(ValueError, match="13a"):
        measure(HYPOTHESES, REFERENCES, tokenize="scissors")


# ---- its interval -------------------------------------------------------------------------------


def test_the_interval_contains_the_score():
    interval = bleu_interval(HYPOTHESES, REFERENCES)
    assert interval.low <= interval.score <= interval.high
    assert interval.high - interval.low > 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_interval_contains_the_score_of_few_sentences(count):
    interval = bleu_interval(HYPOTHESES[:count], REFERENCES[:count])
    assert 0 <= interval.low <= interval.score <= interval.high


def test_the_interval_ends_at_100():
    hypotheses = [*REFERENCES, "A cat sleeps on a chair ."]
    references = [*REFERENCES, "Two cats are on the table ."]
    interval = bleu_interval(hypotheses, references)
    assert 0 < interval.low < interval.score < interval.high == 100


def test_the_interval_begins_at_zero():
    """The mean of the samples minus half the width of their middle is −9.4."""
    hypotheses = [REFERENCES[0], *["x y z w v"] * 3]
    interval = bleu_interval(hypotheses, REFERENCES)
    assert interval.low == 0 < interval.score < interval.high


@pytest.mark.parametrize("count", [1, 0, -5, 2.0, True, float("nan"), float("inf")])
def test_a_number_of_bootstrap_samples_below_two_is_refused(count):
    message = f"num_resamples must be an integer of at least 2, got {count}"
    with pytest.raises(ValueError, match=message):
        bleu_interval(HYPOTHESES, REFERENCES, num_resamples=count)


def test_the_resampling_of_the_interval_is_seeded():
    assert bleu_interval(HYPOTHESES, REFERENCES) == bleu_interval(HYPOTHESES, REFERENCES)


@pytest.mark.parametrize(
    "references, tokenize, parts",
    [
        (REFERENCES, "13a", ("tok:13a", "case:mixed")),
        (REFERENCES, "zh", ("tok:zh",)),
        ([REFERENCES, REFERENCES], "13a", ("nrefs:2",)),
    ],
)
def test_the_signature_describes_how_the_score_was_computed(references, tokenize, parts):
    interval = bleu_interval(HYPOTHESES, references, tokenize=tokenize, num_resamples=2)
    assert all(part in interval.signature for part in parts)


def test_an_interval_as_text_has_the_score_and_the_signature():
    interval = bleu_interval(HYPOTHESES, REFERENCES)
    assert f"{interval.score:.1f}" in str(interval)
    assert interval.signature in str(interval)


# ---- chrF ---------------------------------------------------------------------------------------


def test_chrf_is_that_of_sacrebleu():
    assert chrf(HYPOTHESES, REFERENCES) == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score


def test_chrf_needs_no_words():
    assert chrf(["两只狗在雪里"], ["两只狗在雪里玩"]) > 40


def test_chrf_rewards_parts_of_words():
    assert chrf(["dogs playing"], ["dogs played"]) > 50
    assert chrf(["x"], ["dogs"]) < 10


# ---- every score --------------------------------------------------------------------------------


@every_score
def test_a_perfect_score_is_exactly_100(score):
    """The geometric mean of four times 100 is 100.00000000000004."""
    assert sacrebleu.corpus_bleu(REFERENCES, [REFERENCES]).score > 100
    assert score(REFERENCES, REFERENCES) == 100
    assert score(REFERENCES, [HYPOTHESES, REFERENCES]) == 100


@every_score
def test_several_references_are_those_of_sacrebleu(score):
    metric = sacrebleu.corpus_chrf if score is chrf else sacrebleu.corpus_bleu
    others = [text.lower() for text in HYPOTHESES]
    for references in ([REFERENCES, others], [REFERENCES, [others[0], None, None, None]]):
        assert score(HYPOTHESES, references) == metric(HYPOTHESES, references).score


@every_score
def test_more_references_give_a_higher_score(score):
    others = [text.lower() for text in HYPOTHESES]
    assert score(HYPOTHESES, [REFERENCES, others]) > score(HYPOTHESES, REFERENCES)


@every_score
def test_a_single_list_of_references_may_stand_alone(score):
    assert score(HYPOTHESES, [REFERENCES]) == score(HYPOTHESES, REFERENCES)


@pytest.mark.parametrize("measure", [bleu, bleu_interval, chrf])
@pytest.mark.parametrize(
    "hypotheses, references, message",
    [
        ("a text", REFERENCES, "give lists of texts, not one text"),
        (HYPOTHESES, "a text", "give lists of texts, not one text"),
        (HYPOTHESES, [REFERENCES, "text"], "give lists of texts, not one text"),
        (HYPOTHESES[:2], REFERENCES, "2 hypotheses and 4 references"),
        (["one"], REFERENCES, "1 hypotheses and 4 references"),
        (["one"] * 5, REFERENCES, "5 hypotheses and 4 references"),
        ([], [], "0 hypotheses"),
        (HYPOTHESES, [REFERENCES, REFERENCES[:3]], "4 hypotheses and 3 references"),
        (HYPOTHESES, [[text] for text in REFERENCES], "4 hypotheses and 1 references"),
        (HYPOTHESES, [], "4 hypotheses and 0 references"),
        (HYPOTHESES, [[*REFERENCES[:3], None]], "hypothesis 3 has no reference"),
        (HYPOTHESES, [None, *REFERENCES[1:]], "hypothesis 0 has no reference"),
        ([list("abc")], ["abc"], "hypotheses must be texts, each a str; item 0 is a list"),
        ([None], ["abc"], "hypotheses must be texts, each a str; item 0 is a NoneType"),
        (["a", "b"], [["a", b"b"]], "references must be texts, each a str; item 1 is a bytes"),
        (None, REFERENCES, "give lists of texts"),
        (HYPOTHESES, None, "give lists of texts"),
        (HYPOTHESES, [REFERENCES, None], "give lists of texts"),
    ],
)
def test_texts_without_one_reference_for_each_hypothesis_are_refused(
    measure, hypotheses, references, message
):
    with pytest.raises(ValueError, match=message):
        measure(hypotheses, references)


@pytest.mark.parametrize("measure", [bleu, bleu_interval, chrf])
def test_texts_may_come_from_a_generator(measure):
    assert measure(iter(HYPOTHESES), iter(REFERENCES)) == measure(HYPOTHESES, REFERENCES)
    several = (iter(texts) for texts in (REFERENCES, HYPOTHESES))
    assert measure(HYPOTHESES, several) == measure(HYPOTHESES, [REFERENCES, HYPOTHESES])


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_a_tokenizer_whose_package_is_missing_is_named_in_one_line(error, monkeypatch):
    def fail(**options):
        raise error("\n\nPlease install\n\n  pip install it\n")

    monkeypatch.setattr("utils.metrics.text.BLEU.__init__", lambda self, **options: fail())
    with pytest.raises(ValueError, match=r"^the tokenizer 'zh' cannot be used: Please install pip"):
        bleu(HYPOTHESES, REFERENCES, tokenize="zh")


# ---- diversity ----------------------------------------------------------------------------------


def test_distinct_n_counts_different_ngrams_over_all_texts():
    texts = [list("abab"), list("abc")]
    assert distinct_n(texts, 1) == pytest.approx(3 / 7)
    assert distinct_n(texts, 2) == pytest.approx(3 / 5), "ab, ba, bc; none across texts"
    assert distinct_n([[1, 2, 3], [4, 5]], 3) == 1


@pytest.mark.parametrize("n", [1, 2])
def test_distinct_n_of_tensors_and_arrays_is_that_of_lists(n):
    rows = [[4, 5, 4, 5], [4, 4, 4, 6]]
    expected = distinct_n(rows, n)
    tensor = torch.tensor(rows)
    for texts in (
        tensor,
        list(tensor),
        [list(row) for row in tensor],
        iter(tensor),
        tensor.numpy(),
    ):
        assert distinct_n(texts, n) == expected


@pytest.mark.parametrize("measure", [lambda texts: distinct_n(texts, 1), self_bleu])
@pytest.mark.parametrize(
    "texts, message",
    [
        ("a text", "the tokens of each text, a list of lists; got 'a text'"),
        (["a b", "a c"], r"a list of tokens, as text.split\(\); got 'a b'"),
        (torch.tensor([4, 5]), "a list of tokens.* got 4"),
        (None, "the tokens of each text"),
        ([[["a"]], [["b"]]], "a token must be a string or a number"),
    ],
)
def test_texts_that_are_not_lists_of_tokens_are_refused(measure, texts, message):
    with pytest.raises(ValueError, match=message):
        measure(texts)


def test_self_bleu_needs_words():
    with pytest.raises(ValueError, match=r"the words of a text must be texts.* item 0 is a int"):
        self_bleu([[4, 5], [4, 6]])


@pytest.mark.parametrize("n", [0, -1, 1.5, 2.0, float("inf"), True])
def test_a_length_of_ngrams_that_is_not_a_positive_integer_is_refused(n):
    with pytest.raises(ValueError, match=f"n must be a positive integer, got {n}"):
        distinct_n([list("abab")], n)


@pytest.mark.parametrize("texts, n", [([list("abab"), list("abc")], 5), ([], 1)])
def test_texts_shorter_than_an_ngram_are_refused(texts, n):
    with pytest.raises(ValueError, match="longer texts"):
        distinct_n(texts, n)


def test_self_bleu_is_the_mean_of_each_text_against_the_others():
    texts = [line.split() for line in (*REFERENCES, *HYPOTHESES)]
    lines = [" ".join(text) for text in texts]
    scores = [
        sacrebleu.sentence_bleu(line, lines[:i] + lines[i + 1 :], tokenize="none").score
        for i, line in enumerate(lines)
    ]
    assert self_bleu(texts) == pytest.approx(sum(scores) / len(scores))


def test_a_space_is_a_token_of_self_bleu_as_any_other():
    """Of characters: sacrebleu would drop those that are spaces."""
    with_spaces, with_marks = (
        [list(text) for text in texts]
        for texts in (["ab cd ef gh", "ab cd ef xx"], ["ab_cd_ef_gh", "ab_cd_ef_xx"])
    )
    assert self_bleu(with_spaces) == self_bleu(with_marks)


def test_self_bleu_of_equal_texts_is_100():
    line = REFERENCES[0]
    raw = sacrebleu.sentence_bleu(line, [line, line], tokenize="none").score
    assert raw > 100, "by rounding"
    assert self_bleu([line.split()] * 3) == 100


def test_self_bleu_of_texts_without_common_words_is_zero():
    assert self_bleu([["a", "b", "c", "d"], ["e", "f", "g", "h"]]) == 0


def test_a_repeated_text_raises_self_bleu():
    texts = [line.split() for line in REFERENCES]
    repeated = self_bleu([texts[0], *texts], max_ngram_order=2)
    assert self_bleu(texts, max_ngram_order=2) < repeated


@pytest.mark.parametrize("texts", [[], [["a", "b"]], [["a"], []]])
def test_self_bleu_of_fewer_than_two_texts_or_of_an_empty_one_is_refused(texts):
    with pytest.raises(ValueError, match="at least two texts, none of them empty"):
        self_bleu(texts)


@pytest.mark.parametrize("order", [0, -1, 2.0, float("inf")])
def test_self_bleu_needs_a_positive_order_of_ngrams(order):
    with pytest.raises(ValueError, match="max_ngram_order must be a positive integer"):
        self_bleu([["a", "b"], ["a", "c"]], max_ngram_order=order)
