"""N-gram models: by hand, by brute force, every context sums to one, and the contract."""

import itertools
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from utils.data.batches import text_eval_batches
from utils.data.vocabulary import BOS, EOS, PAD, UNK
from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.sampling import sample
from utils.decoding.search import greedy_search
from utils.decoding.state import select_rows
from utils.models.ngram import NGramLM, estimate_discounts
from utils.models.ngram_counts import NGramCounts
from utils.training.evaluation import evaluate

V = 9
TEXT = [4, 5, 4, 6, 5, 4, 7, 4, 5, 6, 6, 4, 5, 4, 7]  # 8, EOS and UNK never occur
ESTIMATORS = {  # name → a function of the counts and keyword arguments
    "mle": NGramLM.mle,
    "add-k": partial(NGramLM.add_k, k=0.3),
    "kneser-ney": NGramLM.kneser_ney,
    "fixed discount": partial(NGramLM.kneser_ney, discount=0.75),
    "modified": partial(NGramLM.kneser_ney, modified=True),
}


def count(sequences, order: int) -> NGramCounts:
    return NGramCounts(sequences, order=order, vocab_size=V)


def probabilities(model, context):
    """p(· | context) (V,) for a context of order − 1 ids."""
    state = torch.tensor([[BOS, *context][: model.order - 1]], dtype=torch.long)
    last_id = torch.tensor([[BOS, *context][model.order - 1 :]])
    return model(last_id, state)[0][0, -1].exp().numpy()


def random_text(length=400, seed=0):
    return np.random.default_rng(seed).zipf(1.5, length).clip(1, V - 4) + 3


def test_relative_frequencies():
    model = NGramLM.mle(count(TEXT, 2))
    after = [b for a, b in itertools.pairwise(TEXT) if a == 4]
    expected = [after.count(w) / len(after) for w in range(V)]
    np.testing.assert_allclose(probabilities(model, [4]), expected, rtol=1e-12)
    # uniform after a context that does not occur
    np.testing.assert_allclose(probabilities(model, [8]), 1 / V)


def test_add_k_goes_from_relative_frequencies_to_uniform():
    counts = count(TEXT, 3)
    for context in ([4, 5], [4, 7], [8, 8]):
        mle = probabilities(NGramLM.mle(counts), context)
        np.testing.assert_allclose(probabilities(NGramLM.add_k(counts, 0), context), mle)
        np.testing.assert_allclose(
            probabilities(NGramLM.add_k(counts, 1e-9), context), mle, atol=1e-8
        )
        np.testing.assert_allclose(probabilities(NGramLM.add_k(counts, 1e9), context), 1 / V, 1e-6)
    one = probabilities(NGramLM.add_k(counts, 1), [4, 5])  # 4 5 is followed by 4, 6 and 4
    np.testing.assert_allclose(one[[4, 6, 8]], [3 / (3 + V), 2 / (3 + V), 1 / (3 + V)])


def test_kneser_ney_equals_an_example_worked_by_hand():
    """a b a c (ids 4 5 4 6), order 2, D = 1/2; V = 7.

    Distinct left neighbours: a has BOS and b, so 2; b and c have a, so 1 each; 4 in all, 3 words.
    p(a) = (2 − ½)/4 + ½·3/4 · 1/7, p(b) = p(c) = (1 − ½)/4 + ½·3/4 · 1/7, others ½·3/4 · 1/7.
    After a: b and c once each: p(b | a) = (1 − ½)/2 + ½·2/2 · p(b); p(a | a) = ½·2/2 · p(a).
    """
    model = NGramLM.kneser_ney(NGramCounts([4, 5, 4, 6], order=2, vocab_size=7), discount=0.5)
    half, rest = Fraction(1, 2), Fraction(1, 2) * Fraction(3, 4) * Fraction(1, 7)
    p = {4: (2 - half) / 4 + rest, 5: half / 4 + rest, 6: half / 4 + rest, UNK: rest}
    after_a = probabilities(model, [4])
    assert after_a[5] == pytest.approx(float(half / 2 + half * p[5]), rel=1e-14)
    assert after_a[4] == pytest.approx(float(half * p[4]), rel=1e-14)
    assert after_a[UNK] == pytest.approx(float(half * p[UNK]), rel=1e-14)
    for w, lower in p.items():  # c was never followed by anything: the lower order alone
        assert probabilities(model, [6])[w] == pytest.approx(float(lower), rel=1e-14)


def kneser_ney_in_fractions(text, order, discount, word, context):
    """p(word | context) by the recursion on sets and dictionaries; `context` a tuple."""
    padded = [BOS] * (order - 1) + list(text)
    ends = range(order - 1, len(padded))

    def count_of(ngram):
        m = len(ngram)
        matches = [i for i in ends if tuple(padded[i - m + 1 : i + 1]) == ngram]
        if m == order or ngram[0] == BOS:
            return len(matches)
        return len({padded[i - m] for i in matches})

    def p(word, context):
        lower = Fraction(1, V) if not context else p(word, context[1:])
        counts = [count_of((*context, follower)) for follower in range(V)]
        total = sum(counts)
        if not total:
            return lower
        reserved = discount * sum(n > 0 for n in counts) / total
        return max(counts[word] - discount, 0) / total + reserved * lower

    return p(word, context)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_the_recursion_in_fractions(order):
    model = NGramLM.kneser_ney(count(TEXT, order), discount=0.75)
    for three in [[BOS] * 3, [4, 5, 4], [7, 4, 5], [8, 4, 5], [5, 8, 4], [4, 5, 8], [4, UNK, 7]]:
        context = three[4 - order :]
        computed = probabilities(model, context)
        for w in (4, 6, 8, UNK):
            expected = kneser_ney_in_fractions(TEXT, order, Fraction(3, 4), w, tuple(context))
            assert computed[w] == pytest.approx(float(expected), rel=1e-13)


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
    counts = count(text, 1)
    _, one, two, more = estimate_discounts(counts.raw[1], modified=True)
    assert len({one, two, more}) == 3  # y = 1/3: 1/3, 1, 5/3
    rest = (one + two + 2 * more) / 10 / V
    p = probabilities(NGramLM.kneser_ney(counts, modified=True), [])
    expected = [(1 - one) / 10, (2 - two) / 10, (3 - more) / 10, (4 - more) / 10, 0]
    np.testing.assert_allclose(p[4:], np.array(expected) + rest, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_context_sums_to_one(name, order):
    model = ESTIMATORS[name](count(random_text(), order))
    for context in itertools.product([PAD, BOS, UNK, 4, 5, V - 1], repeat=order - 1):
        p = probabilities(model, list(context))
        assert p.sum() == pytest.approx(1, abs=1e-12) and p.min() >= 0
        if name != "mle":
            assert p.min() > 0  # finite surprisal of words that never occur


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_lower_order_from_higher_counts_is_that_order(name):
    text = random_text()
    high, low = count(text, 5), count(text, 3)
    expected = ESTIMATORS[name](low).score(text)
    computed = ESTIMATORS[name](high, order=3).score(text)
    torch.testing.assert_close(computed, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_score_is_the_full_distribution_at_each_token(name, order):
    model = ESTIMATORS[name](count(random_text(), order))
    ids = torch.tensor([*random_text(40, seed=1), UNK, 5, 5, EOS, 4])
    logits, _ = model(torch.cat([torch.tensor([BOS]), ids])[None])
    expected = logits[0, :-1].gather(-1, ids[:, None])[:, 0]
    torch.testing.assert_close(model.score(ids), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_one_token_at_a_time_is_one_call_and_rows_are_independent(order):
    model = NGramLM.kneser_ney(count(random_text(), order))
    ids = torch.tensor(random_text(30, seed=2)).view(3, 10)
    expected, last_state = model(ids)
    state, steps = None, []
    for t in range(10):
        logits, state = model(ids[:, t : t + 1], state)
        steps.append(logits)
    assert torch.equal(torch.cat(steps, dim=1), expected) and torch.equal(state, last_state)
    assert state.shape == (3, order - 1) and expected.dtype == torch.float64
    for row in range(3):
        assert torch.equal(model(ids[row : row + 1])[0][0], expected[row])
    rows = torch.tensor([2, 0, 0])
    reordered, _ = model(ids[rows, :1], select_rows(state, rows))
    assert torch.equal(reordered, model(ids[:, :1], state)[0][rows])


def test_scoring_continues_from_a_state():
    model = NGramLM.kneser_ney(count(random_text(), 4))
    ids = torch.tensor(random_text(30, seed=3))
    _, state = model(ids[None, :12])
    parts = torch.cat([model.score(ids[:12]), model.score(ids[12:], state)])
    assert torch.equal(parts, model.score(ids))


def test_evaluation_sums_its_log_probabilities():
    model = NGramLM.kneser_ney(count(random_text(), 3))
    ids = torch.tensor(random_text(100, seed=4))
    evaluation = evaluate(model, text_eval_batches(ids, batch_size=1, context_length=200))
    assert evaluation.num_tokens == 99
    assert evaluation.nll == pytest.approx(-float(model.score(ids)[1:].sum()), rel=1e-12)
    untrained = NGramLM.kneser_ney(count([], 3))
    evaluation = evaluate(untrained, text_eval_batches(ids, batch_size=2, context_length=10))
    assert evaluation.perplexity == pytest.approx(V)


def test_samples_follow_the_probabilities_and_the_seed():
    sequences = [[4, 5, EOS], [4, 6, EOS], [4, 6, EOS], [4, 6, EOS]]
    model = NGramLM.mle(count(sequences, 3))
    prompt = torch.full((2000, 1), BOS)
    samples, repeated = (
        sample(model, prompt, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert samples == repeated and {tuple(ids) for ids in samples} == {(4, 5), (4, 6)}
    fraction = sum(ids == [4, 6] for ids in samples) / 2000
    assert abs(fraction - 0.75) < 5 * math.sqrt(0.75 * 0.25 / 2000)  # 1 in 2 million by chance


def test_a_wide_beam_finds_the_best_of_all_sentences():
    sequences = [[4, 5, EOS], [4, 6, 6, EOS], [5, 4, EOS], [6, 6, 5, EOS], [5, 4, 6, EOS]]
    model = NGramLM.kneser_ney(NGramCounts(sequences, order=3, vocab_size=7))
    bos = torch.tensor([[BOS]])
    results = beam_search(model, bos, config=BeamConfig(300, alpha=0), max_length=4)
    sentences = [
        [*words, EOS] for n in range(4) for words in itertools.product([UNK, 4, 5, 6], repeat=n)
    ]
    best = max(sentences, key=lambda ids: float(model.score(ids).sum()))
    assert results[0][0].ids == best[:-1]
    assert greedy_search(model, bos, max_length=0) == [[]]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_vocabulary_of_one_token_no_text_and_short_texts(name):
    single = ESTIMATORS[name](NGramCounts([0, 0, 0], order=3, vocab_size=1))
    assert single.score([0, 0]).tolist() == pytest.approx([0, 0])
    p = single(torch.zeros(2, 4, dtype=torch.long))[0].exp()
    torch.testing.assert_close(p, torch.ones(2, 4, 1, dtype=torch.float64))
    for sequences in ([], [[]], [[], []]):
        untrained = ESTIMATORS[name](count(sequences, 3))
        np.testing.assert_allclose(probabilities(untrained, [4, 5]), 1 / V)
        assert untrained.score([]).shape == (0,)
    for length in (1, 2, 3):  # shorter than the order
        short = ESTIMATORS[name](count(TEXT[:length], 4))
        assert probabilities(short, [BOS, BOS, BOS])[TEXT[0]] > 1 / V
        assert probabilities(short, [8, 8, 8]).sum() == pytest.approx(1)


def bigram_model() -> NGramLM:
    return NGramLM.mle(count(TEXT, 2))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: NGramLM.mle(count(TEXT, 2), order=3), "1 … 2 tokens were counted"),
        (lambda: NGramLM.add_k(count(TEXT, 2), 1, order=3), "1 … 2 tokens were counted"),
        (lambda: NGramLM.kneser_ney(count(TEXT, 2), order=0), "order=0"),
        (lambda: NGramLM.add_k(count(TEXT, 2), -1), "k must be"),
        (lambda: NGramLM.add_k(count(TEXT, 2), math.nan), "k must be"),
        (lambda: NGramLM.add_k(count(TEXT, 2), math.inf), "k must be"),
        (lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=0), "discount=0"),
        (lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=1.5), "discount=1.5"),
        (
            lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=0.5, modified=True),
            "excludes modified=True",
        ),
        (lambda: bigram_model()(torch.tensor([4])), "shape \\(B, T\\)"),
        (lambda: bigram_model()(torch.tensor([[V]])), "lie outside"),
        (lambda: bigram_model().score([4], torch.tensor([[V]])), "lie outside"),
        (
            lambda: NGramLM.mle(count(TEXT, 3)).score([4], torch.tensor([[4]])),
            "shape \\(1, 2\\); got \\(1, 1\\)",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
