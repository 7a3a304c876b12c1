"""N-gram models: by hand, by brute force, every context sums to one, and the contract."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch

from utils.data.batches import text_eval_batches
from utils.data.vocabulary import BOS, EOS, PAD, UNK
from utils.decoding import sampling
from utils.decoding.search import BeamConfig, beam_search, greedy
from utils.models.ngram import NGramLM, estimate_discounts
from utils.models.ngram_counts import NGramCounts
from utils.training.evaluation import evaluate

V = 9
TEXT = [4, 5, 4, 6, 5, 4, 7, 4, 5, 6, 6, 4, 5, 4, 7]  # 8, EOS and UNK never occur
MODELS = {
    "mle": NGramLM.mle,
    "add-k": lambda counts, order=None: NGramLM.add_k(counts, 0.3, order=order),
    "kneser-ney": NGramLM.kneser_ney,
    "fixed discount": lambda counts, order=None: NGramLM.kneser_ney(
        counts, order=order, discount=0.75
    ),
    "modified": lambda counts, order=None: NGramLM.kneser_ney(counts, order=order, modified=True),
}


def probabilities(lm, context):
    """p(· | context) (V,) for a context of order − 1 ids."""
    state = torch.tensor([[BOS, *context][: lm.order - 1]], dtype=torch.long)
    last = torch.tensor([[BOS, *context][lm.order - 1 :]])
    return lm(last, state)[0][0, -1].exp().numpy()


def random_text(length=400, seed=0):
    return np.random.default_rng(seed).zipf(1.5, length).clip(1, V - 4) + 3


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_counts_are_those_of_plain_loops(order):
    counts, padded = NGramCounts(TEXT, order=order, vocab_size=V), [BOS] * (order - 1) + TEXT
    for m in range(1, order + 1):
        grams = Counter(tuple(padded[i - m + 1 : i + 1]) for i in range(order - 1, len(padded)))
        ids, found = counts.ngrams(m)
        assert {tuple(row): n for row, n in zip(ids.tolist(), found, strict=True)} == grams
        assert all(counts.count(gram) == n for gram, n in grams.items())
        assert counts.count([8] * m) == 0
    shapes = [found.shape for found in counts.numbers(np.zeros((2, 1), dtype=int), order)]
    assert shapes == [(2, max(0, 2 - m)) for m in range(order + 1)]  # too short for an n-gram


def test_continuation_counts_are_distinct_left_neighbours():
    counts, padded = NGramCounts(TEXT, order=3, vocab_size=V), [BOS, BOS, *TEXT]
    for m in (1, 2):
        longer = {tuple(padded[i - m : i + 1]) for i in range(2, len(padded))}
        left = Counter(gram[1:] for gram in longer)
        for gram in itertools.product(range(4, V), repeat=m):
            assert counts.count(gram, continuation=True) == left[gram]
    assert counts.count([BOS, 4]) == counts.count([BOS, 4], continuation=True) == 1


def test_ngrams_that_start_a_sentence_keep_their_occurrences():
    counts = NGramCounts([[4, 5], [4, 6], [4, 5]], order=3, vocab_size=V)
    assert counts.count([BOS, 4], continuation=True) == counts.count([BOS, 4]) == 3
    assert counts.count([4, 5], continuation=True) == 1  # after BOS only


def test_several_texts_do_not_touch():
    counts = NGramCounts([[4, 5], [6], [], [7, 4]], order=2, vocab_size=V)
    assert counts.count([BOS, 4]) == counts.count([BOS, 6]) == counts.count([BOS, 7]) == 1
    assert counts.count([5, 6]) == counts.count([6, 7]) == 0
    padded = NGramCounts(
        [[4, 5], [6]], order=3, vocab_size=V
    )  # the padding before a text follows nothing
    assert padded.count([5, BOS]) == padded.count([5, BOS], continuation=True) == 0


def test_a_text_in_any_container_gives_the_same_counts():
    forms = [TEXT, tuple(TEXT), np.array(TEXT), torch.tensor(TEXT), [TEXT], np.array([TEXT])]
    for form in forms:
        assert np.array_equal(
            NGramCounts(form, order=3, vocab_size=V).keys[3],
            NGramCounts(TEXT, order=3, vocab_size=V).keys[3],
        )


def test_relative_frequencies():
    lm = NGramLM.mle(NGramCounts(TEXT, order=2, vocab_size=V))
    after = [b for a, b in itertools.pairwise(TEXT) if a == 4]
    expected = [after.count(w) / len(after) for w in range(V)]
    np.testing.assert_allclose(probabilities(lm, [4]), expected, rtol=1e-12)
    np.testing.assert_allclose(probabilities(lm, [8]), 1 / V)  # an unseen context says nothing


def test_add_k_goes_from_relative_frequencies_to_uniform():
    counts = NGramCounts(TEXT, order=3, vocab_size=V)
    for context in ([4, 5], [4, 7], [8, 8]):
        mle = probabilities(NGramLM.mle(counts), context)
        np.testing.assert_allclose(probabilities(NGramLM.add_k(counts, 0), context), mle)
        np.testing.assert_allclose(
            probabilities(NGramLM.add_k(counts, 1e-9), context), mle, atol=1e-8
        )
        np.testing.assert_allclose(probabilities(NGramLM.add_k(counts, 1e9), context), 1 / V, 1e-6)
    one = probabilities(NGramLM.add_k(counts, 1), [4, 5])  # 4 5 is followed by 4, 6 and 4
    np.testing.assert_allclose(one[[4, 6, 8]], [3 / (3 + V), 2 / (3 + V), 1 / (3 + V)])


def test_kneser_ney_worked_by_hand():
    """a b a c (ids 4 5 4 6), order 2, D = 1/2; V = 7.

    Distinct left neighbours: a has BOS and b, so 2; b and c have a, so 1 each; 4 in all, 3 words.
    p(a) = (2 − ½)/4 + ½·3/4 · 1/7, p(b) = p(c) = (1 − ½)/4 + ½·3/4 · 1/7, others ½·3/4 · 1/7.
    After a: b and c once each: p(b | a) = (1 − ½)/2 + ½·2/2 · p(b); p(a | a) = ½·2/2 · p(a).
    """
    lm = NGramLM.kneser_ney(NGramCounts([4, 5, 4, 6], order=2, vocab_size=7), discount=0.5)
    half, rest = Fraction(1, 2), Fraction(1, 2) * Fraction(3, 4) * Fraction(1, 7)
    p = {4: (2 - half) / 4 + rest, 5: half / 4 + rest, 6: half / 4 + rest, UNK: rest}
    after_a = probabilities(lm, [4])
    assert after_a[5] == pytest.approx(float(half / 2 + half * p[5]), rel=1e-14)
    assert after_a[4] == pytest.approx(float(half * p[4]), rel=1e-14)
    assert after_a[UNK] == pytest.approx(float(half * p[UNK]), rel=1e-14)
    for w in p:  # c was never followed by anything: the lower order alone
        assert probabilities(lm, [6])[w] == pytest.approx(float(p[w]), rel=1e-14)


def brute_kneser_ney(text, order, discount, word, context):
    """The recursion in fractions on sets and dictionaries; `context` a tuple."""
    padded = [BOS] * (order - 1) + list(text)
    D = Fraction(discount)

    def count(gram):
        m = len(gram)
        ends = range(order - 1, len(padded))
        if m == order or gram[0] == BOS:
            return sum(tuple(padded[i - m + 1 : i + 1]) == gram for i in ends)
        return len({padded[i - m] for i in ends if tuple(padded[i - m + 1 : i + 1]) == gram})

    def p(word, context):
        lower = Fraction(1, V) if not context else p(word, context[1:])
        seen = [count((*context, v)) for v in range(V)]
        if not sum(seen):
            return lower
        share = max(count((*context, word)) - D, 0) / sum(seen)
        return share + D * sum(n > 0 for n in seen) / sum(seen) * lower

    return p(word, context)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_the_recursion_in_fractions(order):
    lm = NGramLM.kneser_ney(NGramCounts(TEXT, order=order, vocab_size=V), discount=0.75)
    for context in [[BOS] * 3, [4, 5, 4], [7, 4, 5], [8, 4, 5], [5, 8, 4], [4, 5, 8], [4, UNK, 7]]:
        context = context[4 - order :]
        found = probabilities(lm, context)
        for w in (4, 6, 8, UNK):
            expected = brute_kneser_ney(TEXT, order, Fraction(3, 4), w, tuple(context))
            assert found[w] == pytest.approx(float(expected), rel=1e-13)


def test_discounts_from_counts_of_counts():
    counts = np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] * 1 + [9] * 5 + [0])
    y = 10 / (10 + 2 * 4)
    np.testing.assert_allclose(estimate_discounts(counts), [0, y, y, y])
    modified = [0, 1 - 2 * y * 4 / 10, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2]
    np.testing.assert_allclose(estimate_discounts(counts, modified=True), modified)
    for few in ([], [7, 8], [1], [2, 2]):  # too few to estimate: half a count
        assert estimate_discounts(np.array(few, dtype=int)).tolist() == [0, 0.5, 0.5, 0.5]
        assert estimate_discounts(np.array(few, dtype=int), modified=True)[1:].min() > 0


def test_modified_takes_one_of_three_discounts():
    text = [4] + 2 * [5] + 3 * [6] + 4 * [7]
    counts = NGramCounts(text, order=1, vocab_size=V)
    _, one, two, more = estimate_discounts(counts.raw[1], modified=True)
    assert len({one, two, more}) == 3  # y = 1/3: 1/3, 1, 5/3
    rest = (one + two + 2 * more) / 10 / V
    p = probabilities(NGramLM.kneser_ney(counts, modified=True), [])
    expected = [(1 - one) / 10, (2 - two) / 10, (3 - more) / 10, (4 - more) / 10, 0]
    np.testing.assert_allclose(p[4:], np.array(expected) + rest, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_every_context_sums_to_one(name, order):
    lm = MODELS[name](NGramCounts(random_text(), order=order, vocab_size=V))
    for context in itertools.product([PAD, BOS, UNK, 4, 5, V - 1], repeat=order - 1):
        p = probabilities(lm, list(context))
        assert p.sum() == pytest.approx(1, abs=1e-12) and p.min() >= 0
        if name != "mle":
            assert p.min() > 0  # finite surprise for words never seen


@pytest.mark.parametrize("name", MODELS)
def test_a_lower_order_from_higher_counts_is_that_order(name):
    text = random_text()
    high, low = NGramCounts(text, order=5, vocab_size=V), NGramCounts(text, order=3, vocab_size=V)
    expected = MODELS[name](low).score(text)
    torch.testing.assert_close(MODELS[name](high, 3).score(text), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_score_is_the_full_distribution_at_each_token(name, order):
    lm = MODELS[name](NGramCounts(random_text(), order=order, vocab_size=V))
    ids = torch.tensor([*random_text(40, seed=1), UNK, 5, 5, EOS, 4])
    logits, _ = lm(torch.cat([torch.tensor([BOS]), ids])[None])
    expected = logits[0, :-1].gather(-1, ids[:, None])[:, 0]
    torch.testing.assert_close(lm.score(ids), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_token_by_token_is_one_call_and_rows_do_not_touch(order):
    lm = NGramLM.kneser_ney(NGramCounts(random_text(), order=order, vocab_size=V))
    ids = torch.tensor(random_text(30, seed=2)).view(3, 10)
    whole, end = lm(ids)
    state, steps = None, []
    for t in range(10):
        logits, state = lm(ids[:, t : t + 1], state)
        steps.append(logits)
    assert torch.equal(torch.cat(steps, dim=1), whole) and torch.equal(state, end)
    assert state.shape == (3, order - 1) and whole.dtype == torch.float64
    for row in range(3):
        assert torch.equal(lm(ids[row : row + 1])[0][0], whole[row])


def test_scoring_goes_on_from_a_state():
    lm = NGramLM.kneser_ney(NGramCounts(random_text(), order=4, vocab_size=V))
    ids = torch.tensor(random_text(30, seed=3))
    _, state = lm(ids[None, :12])
    parts = torch.cat([lm.score(ids[:12]), lm.score(ids[12:], state)])
    assert torch.equal(parts, lm.score(ids))


def test_evaluate_takes_it():
    lm = NGramLM.kneser_ney(NGramCounts(random_text(), order=3, vocab_size=V))
    ids = torch.tensor(random_text(100, seed=4))
    found = evaluate(lm, text_eval_batches(ids, batch_size=1, context_length=200))
    assert found.tokens == 99
    assert found.nll == pytest.approx(-float(lm.score(ids)[1:].sum()), rel=1e-12)
    nothing = evaluate(
        NGramLM.kneser_ney(NGramCounts([], order=3, vocab_size=V)),
        text_eval_batches(ids, batch_size=2, context_length=10),
    )
    assert nothing.perplexity == pytest.approx(V)


def test_sampling_follows_the_counts_and_its_seed():
    lm = NGramLM.mle(
        NGramCounts([[4, 5, EOS], [4, 6, EOS], [4, 6, EOS], [4, 6, EOS]], order=3, vocab_size=V)
    )
    prompt = torch.full((2000, 1), BOS)
    first, again = (
        sampling.sample(lm, prompt, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert first == again and {tuple(text) for text in first} == {(4, 5), (4, 6)}
    share = sum(text == [4, 6] for text in first) / 2000
    assert abs(share - 0.75) < 5 * math.sqrt(0.75 * 0.25 / 2000)  # 1 in 2 million by chance


def test_wide_beam_finds_the_best_of_all_sentences():
    texts = [[4, 5, EOS], [4, 6, 6, EOS], [5, 4, EOS], [6, 6, 5, EOS], [5, 4, 6, EOS]]
    lm = NGramLM.kneser_ney(NGramCounts(texts, order=3, vocab_size=7))
    answers = beam_search(lm, torch.tensor([[BOS]]), config=BeamConfig(300, alpha=0), max_length=4)
    every = [
        (*words, EOS) for n in range(4) for words in itertools.product([UNK, 4, 5, 6], repeat=n)
    ]
    best = max(every, key=lambda ids: float(lm.score(list(ids)).sum()))
    assert answers[0][0].ids == list(best[:-1])
    assert greedy(lm, torch.tensor([[BOS]]), max_length=0) == [[]]


@pytest.mark.parametrize("name", MODELS)
def test_one_token_no_token_and_short_texts(name):
    one = MODELS[name](NGramCounts([0, 0, 0], order=3, vocab_size=1))
    assert one.score([0, 0]).tolist() == pytest.approx([0, 0])
    p = one(torch.zeros(2, 4, dtype=torch.long))[0].exp()
    torch.testing.assert_close(p, torch.ones(2, 4, 1, dtype=torch.float64))
    for text in ([], [[]], [[], []]):
        nothing = MODELS[name](NGramCounts(text, order=3, vocab_size=V))
        np.testing.assert_allclose(probabilities(nothing, [4, 5]), 1 / V)
        assert nothing.score([]).shape == (0,)
    for length in (1, 2, 3):  # shorter than the order
        short = MODELS[name](NGramCounts(TEXT[:length], order=4, vocab_size=V))
        assert probabilities(short, [BOS, BOS, BOS])[TEXT[0]] > 1 / V
        assert probabilities(short, [8, 8, 8]).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: NGramCounts(TEXT, order=0, vocab_size=V), "order=0"),
        (lambda: NGramCounts(TEXT, order=2, vocab_size=0), "vocab_size=0"),
        (lambda: NGramCounts([4, V], order=2, vocab_size=V), f"ids \\[{V}\\] lie outside"),
        (lambda: NGramCounts([4, -1], order=2, vocab_size=V), "ids \\[-1\\] lie outside"),
        (lambda: NGramCounts([4.5, 1.0], order=2, vocab_size=V), "expected ids"),
        (lambda: NGramCounts(np.zeros((0, 3), dtype=int), order=2, vocab_size=V), "expected ids"),
        (
            lambda: NGramLM.mle(NGramCounts(TEXT, order=2, vocab_size=V), order=3),
            "1 … 2 tokens were counted",
        ),
        (lambda: NGramLM.kneser_ney(NGramCounts(TEXT, order=2, vocab_size=V), order=0), "order=0"),
        (lambda: NGramLM.add_k(NGramCounts(TEXT, order=2, vocab_size=V), -1), "k must be"),
        (lambda: NGramLM.add_k(NGramCounts(TEXT, order=2, vocab_size=V), math.nan), "k must be"),
        (
            lambda: NGramLM.kneser_ney(NGramCounts(TEXT, order=2, vocab_size=V), discount=0),
            "discount=0",
        ),
        (
            lambda: NGramLM.kneser_ney(
                NGramCounts(TEXT, order=2, vocab_size=V), order=None, discount=0.5, modified=True
            ),
            "excludes",
        ),
        (lambda: NGramCounts(TEXT, order=2, vocab_size=V).count([]), "0 tokens"),
        (
            lambda: NGramCounts(TEXT, order=2, vocab_size=V).count([4, 4], continuation=True),
            "know 1 … 1",
        ),
        (
            lambda: NGramLM.mle(NGramCounts(TEXT, order=2, vocab_size=V))(torch.tensor([4])),
            "shape \\(B, T\\)",
        ),
        (
            lambda: NGramLM.mle(NGramCounts(TEXT, order=2, vocab_size=V))(torch.tensor([[V]])),
            "lie outside",
        ),
        (
            lambda: NGramLM.mle(NGramCounts(TEXT, order=2, vocab_size=V)).score(
                [4], torch.tensor([[V]])
            ),
            "lie outside",
        ),
        (
            lambda: NGramLM.mle(NGramCounts(TEXT, order=3, vocab_size=V)).score(
                [4], torch.tensor([[4]])
            ),
            "shape \\(1, 2\\); got \\(1, 1\\)",
        ),
    ],
)
def test_mistakes_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
