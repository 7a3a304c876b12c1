"""Likelihood, scores of text, significance, calibration, and the cost of a model."""

import itertools
import math
import statistics

import numpy as np
import pytest
import sacrebleu
import torch
from torch import nn

from utils.metrics.calibration import expected_calibration_error, fit_temperature
from utils.metrics.cost import count_flops, count_parameters, gpt_flops, gpt_parameters
from utils.metrics.likelihood import bits_per_character, perplexity
from utils.metrics.significance import paired_bleu_p_value
from utils.metrics.text import bleu, bleu_interval, chrf, distinct_n, self_bleu
from utils.models.gpt import GPT

REFERENCES = [
    "A man in an orange hat is looking at something.",
    "Two dogs play in the snow .",
    "A woman reads a book.",
    "Children run over the grass in the park.",
]
HYPOTHESES = [
    "A man in an orange hat looks at something.",
    "Two dogs are playing in the snow.",
    "A woman reads the book.",
    "Children run on the green grass in a park.",
]


def test_perplexity_and_bits_are_totals_over_totals():
    assert perplexity(10 * math.log(7), 10) == pytest.approx(7)
    assert bits_per_character(30 * math.log(2), 10) == pytest.approx(3)
    for measure in (perplexity, bits_per_character):
        with pytest.raises(ValueError, match="at least one"):
            measure(1.0, 0)


def test_a_loss_beyond_all_bounds_is_infinitely_perplexed():
    assert perplexity(1e6, 1) == perplexity(math.inf, 3) == math.inf
    assert perplexity(700, 1) == pytest.approx(math.exp(700))


@pytest.mark.parametrize("measure", [perplexity, bits_per_character])
def test_what_is_no_likelihood_is_refused(measure):
    """An infinite one is: of a text with a token of probability 0."""
    assert measure(math.inf, 2) == math.inf and measure(-1e-6, 1) == pytest.approx(
        1 if measure is perplexity else 0, abs=1e-5
    )
    for nll in (math.nan, -math.inf, -3.0):
        with pytest.raises(ValueError, match="needs the negative log-likelihood"):
            measure(nll, 10)
    for count in (math.nan, math.inf, -math.inf, 0, -1):
        with pytest.raises(ValueError, match=f"got {count}"):
            measure(1.0, count)


def test_bleu_is_sacrebleus_with_signature_and_interval():
    interval = bleu_interval(HYPOTHESES, REFERENCES)
    assert interval.score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert interval.low <= interval.score <= interval.high and interval.high - interval.low > 1
    assert "tok:13a" in interval.signature and "case:mixed" in interval.signature
    assert f"{interval.score:.1f}" in str(interval) and interval.signature in str(interval)
    assert bleu_interval(HYPOTHESES, REFERENCES) == interval, "the resampling is seeded"


def score_of_interval(hypotheses, references, **options):
    return bleu_interval(hypotheses, references, **options).score


@pytest.mark.parametrize("score", [bleu, score_of_interval])
def test_bleu_of_equal_and_of_empty_hypotheses(score):
    assert score(REFERENCES, REFERENCES) == pytest.approx(100)
    assert score([""] * 4, REFERENCES) == 0
    lower = [text.lower() for text in REFERENCES]
    assert score(lower, REFERENCES) < 95
    assert score(lower, REFERENCES, lowercase=True) == pytest.approx(100)


def test_bleu_alone_is_the_score_of_the_interval():
    assert bleu(HYPOTHESES, REFERENCES) == bleu_interval(HYPOTHESES, REFERENCES).score


@pytest.mark.parametrize("score", [bleu, score_of_interval, chrf])
def test_a_perfect_score_is_100_and_not_more(score):
    """The geometric mean of four times 100 is 100.00000000000004."""
    assert sacrebleu.corpus_bleu(REFERENCES, [REFERENCES]).score > 100
    assert score(REFERENCES, REFERENCES) == 100
    assert score(REFERENCES, [HYPOTHESES, REFERENCES]) == 100


def test_the_interval_does_not_pass_100():
    hypotheses = [*REFERENCES, "A cat sleeps on a chair ."]
    references = [*REFERENCES, "Two cats are on the table ."]
    interval = bleu_interval(hypotheses, references)
    assert 0 < interval.low < interval.score < interval.high == 100


@pytest.mark.parametrize("score", [bleu, score_of_interval, chrf])
def test_several_references_are_those_of_sacrebleu(score):
    metric = sacrebleu.corpus_chrf if score is chrf else sacrebleu.corpus_bleu
    others = [text.lower() for text in HYPOTHESES]
    both = score(HYPOTHESES, [REFERENCES, others])
    assert both == metric(HYPOTHESES, [REFERENCES, others]).score
    assert both > score(HYPOTHESES, REFERENCES) == score(HYPOTHESES, [REFERENCES])
    some = [others[0], None, None, None]
    assert score(HYPOTHESES, [REFERENCES, some]) == metric(HYPOTHESES, [REFERENCES, some]).score
    if score is score_of_interval:
        assert "nrefs:2" in bleu_interval(HYPOTHESES, [REFERENCES, others]).signature


@pytest.mark.parametrize("measure", [bleu, bleu_interval, chrf])
@pytest.mark.parametrize(
    "hypotheses, references, message",
    [
        ("a text", REFERENCES, "give lists of texts, not a text"),
        (HYPOTHESES, "a text", "give lists of texts, not a text"),
        (HYPOTHESES, [REFERENCES, "text"], "give lists of texts, not a text"),
        (HYPOTHESES, [REFERENCES, REFERENCES[:3]], "4 hypotheses and 3 references"),
        (HYPOTHESES, [[text] for text in REFERENCES], "4 hypotheses and 1 references"),
        (HYPOTHESES, [], "4 hypotheses and 0 references"),
        (HYPOTHESES, [[*REFERENCES[:3], None]], "hypothesis 3 has no reference"),
        (HYPOTHESES, [None, *REFERENCES[1:]], "hypothesis 0 has no reference"),
    ],
)
def test_references_that_are_no_lists_of_texts_are_refused(
    measure, hypotheses, references, message
):
    with pytest.raises(ValueError, match=message):
        measure(hypotheses, references)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_interval_holds_the_score_also_of_few_sentences(count):
    interval = bleu_interval(HYPOTHESES[:count], REFERENCES[:count])
    assert 0 <= interval.low <= interval.score <= interval.high


@pytest.mark.parametrize("measure", [bleu, bleu_interval])
def test_an_unknown_tokenizer_is_refused_with_the_names_of_the_known_ones(measure):
    with pytest.raises(ValueError, match="13a"):
        measure(HYPOTHESES, REFERENCES, tokenize="scissors")


def test_chrf_is_sacrebleus_and_judges_parts_of_words():
    assert chrf(HYPOTHESES, REFERENCES) == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert chrf(REFERENCES, REFERENCES) == pytest.approx(100)
    assert chrf(["两只狗在雪里"], ["两只狗在雪里玩"]) > 40
    close, far = chrf(["dogs playing"], ["dogs played"]), chrf(["x"], ["dogs"])
    assert close > 50 and far < 10


def test_a_paired_test_tells_a_real_difference_from_a_draw():
    texts = [f"A man in an orange hat looks at picture {i} ." for i in range(60)]
    worse = [text.replace("orange hat", "cap") for text in texts]
    alternating = [
        [
            wrong if i % 2 == parity else text
            for i, (text, wrong) in enumerate(zip(texts, worse, strict=True))
        ]
        for parity in (0, 1)
    ]
    assert paired_bleu_p_value(texts, worse, texts, num_trials=200) < 0.01
    assert paired_bleu_p_value(*alternating, texts, num_trials=200) > 0.3
    assert paired_bleu_p_value(worse, worse, texts) == 1


def p_value_of_all_exchanges(first, second, references):
    """The equation eq-randomization over all 2ⁿ exchanges of n sentences."""

    def difference(coins):
        pairs = [(b, a) if c else (a, b) for a, b, c in zip(first, second, coins, strict=True)]
        left, right = zip(*pairs, strict=True)
        return abs(bleu(left, references) - bleu(right, references))

    n = len(first)
    actual = difference([0] * n)
    return statistics.mean(
        difference(coins) >= actual - 1e-9 for coins in itertools.product((0, 1), repeat=n)
    )


def test_the_paired_test_is_exact_on_few_sentences():
    """Ties count: the real assignment itself, and its mirror image, are as large as it is."""
    first = [*HYPOTHESES, "A dog runs on the beach.", "Two men are working."]
    second = [*REFERENCES[:2], *HYPOTHESES[2:], "A dog is at the beach.", "Two men work in a shop."]
    references = [*REFERENCES, "A dog runs along the beach.", "Two men work in a workshop."]
    p = paired_bleu_p_value(first, second, references)
    assert p == p_value_of_all_exchanges(first, second, references)
    assert 1 / 16 < p < 1 and p * 16 == int(p * 16), "four of six sentences differ"
    assert p == paired_bleu_p_value(second, first, references)
    several = [references, first]
    p_of_several = paired_bleu_p_value(first, second, several)
    assert p_of_several == p_value_of_all_exchanges(first, second, several) != p


@pytest.mark.parametrize("num_trials", [1, 200, 10_000])
def test_one_different_answer_of_many_is_no_difference(num_trials):
    """Each exchange gives the same difference, or its negative."""
    texts = [f"A man in an orange hat looks at picture {i} ." for i in range(100)]
    changed = [*texts[:99], "something else"]
    assert paired_bleu_p_value(texts, changed, texts, num_trials=num_trials) == 1


def test_random_exchanges_approximate_all_of_them():
    texts = [f"A man in an orange hat looks at picture {i} ." for i in range(12)]
    first = [text.replace("orange hat", "cap") if i % 3 else text for i, text in enumerate(texts)]
    second = [text.replace("looks", "is") if i % 4 else text for i, text in enumerate(texts)]
    exact = paired_bleu_p_value(first, second, texts, num_trials=2048)
    trials = 2000  # not enough for all ways to exchange eleven sentences
    estimate = paired_bleu_p_value(first, second, texts, num_trials=trials)
    assert estimate == paired_bleu_p_value(first, second, texts, num_trials=trials), "seeded"
    num_as_large = estimate * (trials + 1) - 1
    assert num_as_large == pytest.approx(round(num_as_large))
    assert 0.05 < exact < 0.95 and exact != estimate
    assert abs(estimate - exact) < 5 * math.sqrt(exact * (1 - exact) / trials)
    with pytest.raises(ValueError, match="num_trials must be a positive whole number"):
        paired_bleu_p_value(first, second, texts, num_trials=0)


@pytest.mark.parametrize("measure", [bleu, bleu_interval, chrf])
def test_hypotheses_that_do_not_pair_up_with_references_are_refused(measure):
    with pytest.raises(ValueError, match="2 hypotheses and 4 references"):
        measure(HYPOTHESES[:2], REFERENCES)
    with pytest.raises(ValueError, match="0 hypotheses"):
        measure([], [])
    with pytest.raises(ValueError, match="3 hypotheses"):
        paired_bleu_p_value(HYPOTHESES, HYPOTHESES[:3], REFERENCES)


def test_bleu_splits_chinese_into_characters():
    hypotheses, references = ["一个男人在公园里跑步。"], ["一个女人在公园里跑步。"]
    assert bleu(hypotheses, references, tokenize="zh") > 50
    assert (
        "tok:zh" in bleu_interval(hypotheses, references, tokenize="zh", num_resamples=2).signature
    )


@pytest.mark.parametrize("hypotheses", [[], ["one"], ["one"] * 5])
def test_bleu_wants_one_hypothesis_a_reference(hypotheses):
    with pytest.raises(ValueError, match="hypotheses"):
        bleu_interval(hypotheses, [] if not hypotheses else REFERENCES)


def test_distinct_n_counts_different_ngrams_over_all_texts():
    texts = [list("abab"), list("abc")]
    assert distinct_n(texts, 1) == pytest.approx(3 / 7)
    assert distinct_n(texts, 2) == pytest.approx(3 / 5), "ab, ba, bc; none across texts"
    assert distinct_n([[1, 2, 3], [4, 5]], 3) == 1
    for wrong, n in [(texts, 0), (texts, 5), ([], 1)]:
        with pytest.raises(ValueError, match=r"whole number|longer texts"):
            distinct_n(wrong, n)


def test_self_bleu_is_the_mean_of_each_text_against_the_others():
    texts = [line.split() for line in (*REFERENCES, *HYPOTHESES)]
    lines = [" ".join(text) for text in texts]
    scores = [
        sacrebleu.sentence_bleu(line, lines[:i] + lines[i + 1 :], tokenize="none").score
        for i, line in enumerate(lines)
    ]
    assert self_bleu(texts) == pytest.approx(sum(scores) / len(scores))
    assert self_bleu([texts[0]] * 3) == pytest.approx(100)
    doubled = [texts[0], *texts[:4]]
    assert self_bleu(texts[:4], max_ngram_order=2) < self_bleu(doubled, max_ngram_order=2)
    assert self_bleu([["a", "b", "c", "d"], ["e", "f", "g", "h"]]) == 0
    for wrong in ([], texts[:1], [["a"], []]):
        with pytest.raises(ValueError, match="two texts"):
            self_bleu(wrong)


def test_calibration_by_hand_on_four_predictions_in_two_bins():
    result = expected_calibration_error([0.6, 0.8, 0.3, 0.5], [True, False, True, True], num_bins=2)
    assert result.count.tolist() == [2, 2], "0.5 belongs to the lower bin"
    assert result.confidence == pytest.approx([0.4, 0.7])
    assert result.accuracy == pytest.approx([1.0, 0.5])
    assert result.error == pytest.approx((2 * 0.6 + 2 * 0.2) / 4)


def test_calibration_of_a_sure_and_of_an_honest_model():
    sure = expected_calibration_error(torch.ones(8), torch.arange(8) < 6)
    assert sure.error == pytest.approx(0.25) and sure.count.tolist() == [0] * 14 + [8]
    assert np.isnan(sure.accuracy[:14]).all() and np.isnan(sure.confidence[:14]).all()
    honest = expected_calibration_error([0.75] * 8, [1, 1, 1, 0] * 2, num_bins=3)
    assert honest.error == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error([0.0], [False], num_bins=3).count.tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_bound_belongs_to_the_bin_below_it(dtype):
    """All bounds of up to 100 bins: 0.07 · 100 is more than 7, and 0.57 · 100 less than 57."""
    for num_bins in range(1, 101):
        bounds = np.array([m / num_bins for m in range(1, num_bins + 1)], dtype=dtype)
        count = expected_calibration_error(bounds, [True] * num_bins, num_bins=num_bins).count
        assert count.tolist() == [1] * num_bins
    decimals = np.array([float(f"0.{m:02}") for m in range(100)], dtype=dtype)  # 0 is in bin 1 too
    count = expected_calibration_error(decimals, [True] * 100, num_bins=100).count
    assert count.tolist() == [2, *[1] * 98, 0]


@pytest.mark.parametrize(
    "p, correct, bins, message",
    [
        ([0.5], [True, False], 5, "shapes"),
        ([], [], 5, "shapes"),
        ([[0.5]], [[1]], 5, "shapes"),
        ([1.2], [1], 5, "between 0 and 1"),
        ([math.nan], [1], 5, "between 0 and 1; got nan"),
        ([0.5, -math.inf, math.nan], [1, 1, 1], 5, "got -inf, one of 2"),
        ([0.5], [math.nan], 5, "true or false"),
        ([0.5], [2], 5, "true or false"),
        ([0.5], [1], 0, "whole"),
        ([0.5], [1], 2.5, "whole"),
    ],
)
def test_calibration_says_what_is_wrong(p, correct, bins, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(p, correct, num_bins=bins)


def test_temperature_is_where_the_loss_is_least():
    torch.manual_seed(0)
    logits = 3 * torch.randn(400, 5)
    targets = torch.distributions.Categorical(logits=logits / 2).sample()
    best = fit_temperature(logits, targets)
    loss = {
        temperature: nn.functional.cross_entropy(logits.double() / temperature, targets)
        for temperature in (best - 1e-3, best, best + 1e-3)
    }
    assert min(loss, key=loss.get) == best and 1.5 < best < 2.5
    assert fit_temperature(4 * logits, targets) == pytest.approx(4 * best)
    shifted = logits + torch.randn(400, 1)
    assert fit_temperature(shifted, targets) == pytest.approx(best, rel=1e-4)


def test_temperature_stays_within_its_bounds():
    logits, right = torch.eye(3), torch.arange(3)
    assert fit_temperature(logits, right) == pytest.approx(0.01, rel=0.01)
    assert fit_temperature(logits, right.roll(1)) == pytest.approx(100, rel=0.01)
    assert fit_temperature(torch.zeros(3, 4), right) == 1, "any is as good"
    ruled_out = torch.cat([logits, torch.full((3, 1), float("-inf"))], 1)
    mixed = torch.tensor([0, 1, 0])
    assert fit_temperature(ruled_out, mixed) == pytest.approx(fit_temperature(logits, mixed))


def test_a_temperature_needs_one_class_for_each_row_of_logits():
    logits, right = torch.eye(3), torch.arange(3)
    for wrong in [
        (logits, right[:2]),
        (logits[0], right),
        (logits, right + 1),
        (logits[:0], right[:0]),
    ]:
        with pytest.raises(ValueError, match=r"temperature needs|targets must be"):
            fit_temperature(*wrong)


@pytest.mark.parametrize(
    "value, row, column",
    [(math.nan, 0, 0), (math.nan, 1, 0), (math.inf, 2, 1), (-math.inf, 1, 1)],
)
def test_logits_without_a_best_temperature_are_refused(value, row, column):
    """NaN, +∞, and a target that is ruled out: its loss is infinite at every temperature."""
    logits = torch.eye(3)
    logits[row, column] = value
    with pytest.raises(ValueError, match=f"logits must be finite.*row {row}, of target {row}"):
        fit_temperature(logits, torch.arange(3))
    with pytest.raises(ValueError, match="row 0"):
        fit_temperature(torch.full((2, 3), -math.inf), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="targets must be classes"):
        fit_temperature(torch.eye(3), torch.tensor([0.0, 0.5, 1.0]))


def test_parameters_count_tied_ones_once_and_frozen_ones_on_request():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    assert count_parameters(model) == 24
    model[1].weight = model[0].weight
    assert count_parameters(model) == 15
    model[0].bias.requires_grad_(False)
    assert count_parameters(model, trainable_only=True) == 12
    assert count_parameters(nn.Dropout()) == 0 and torch.is_grad_enabled()


@pytest.mark.parametrize("vocab_size, width, num_layers", [(11, 8, 1), (50, 12, 3)])
def test_parameters_of_a_gpt_by_formula(vocab_size, width, num_layers):
    model = GPT(vocab_size, width=width, num_layers=num_layers, num_heads=2, context_length=8)
    assert gpt_parameters(vocab_size, width=width, num_layers=num_layers) == count_parameters(model)


@pytest.mark.parametrize("length", [1, 5, 16])
def test_flops_of_a_gpt_by_formula_forwards_and_thrice_for_training(length):
    model = GPT(50, width=12, num_layers=3, num_heads=2, context_length=16)
    ids = torch.randint(50, (4, length))
    formula = gpt_flops(50, width=12, num_layers=3, batch_size=4, length=length)
    assert count_flops(lambda: model(ids)) == formula
    assert count_flops(lambda: model(ids)[0].sum().backward()) == 3 * formula


def test_flops_of_one_product_are_two_for_each_multiplication():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7
