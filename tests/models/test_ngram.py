"""N-gram models: by hand, by brute force, by KenLM and nltk, and the contract."""

import itertools
import json
import math
import os
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.data.batches import text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.greedy_search import greedy_search
from utils.decoding.model_state import select_rows
from utils.decoding.sampling import sample
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.ngram_estimates import (
    discounted_estimates,
    estimate_discounts,
    witten_bell_estimates,
)
from utils.training.evaluation import evaluate

V = 9
TEXT = [4, 5, 4, 6, 5, 4, 7, 4, 5, 6, 6, 4, 5, 4, 7]  # 8, EOS and UNK never occur
ESTIMATORS = {  # name → a function of the counts and keyword arguments
    "mle": NGramLM.mle,
    "add-k": partial(NGramLM.add_k, k=0.3),
    "kneser-ney": NGramLM.kneser_ney,
    "fixed discount": partial(NGramLM.kneser_ney, discount=0.75),
    "modified": partial(NGramLM.kneser_ney, modified=True),
    "absolute discounting": NGramLM.absolute_discounting,
    "witten-bell": NGramLM.witten_bell,
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


# The library that many use for such models, KenLM (Heafield et al. 2013), as an oracle: sentences
# of Shakespeare's plays, and what lmplz estimates from them; "about" in the file describes how.
KENLM = json.loads(Path(__file__).with_name("kenlm.json").read_text(encoding="utf-8"))


@cache
def kenlm_model(order: int) -> tuple[Vocabulary, NGramLM]:
    """The vocabulary and the model of KenLM's training sentences, whose words are split already."""
    vocab = Vocabulary.from_tokens(word for text in KENLM["train"] for word in text.split())
    sentences = [[*vocab.to_ids(text.split()), EOS] for text in KENLM["train"]]
    counts = NGramCounts(sentences, order=order, vocab_size=len(vocab), never_predicted=(PAD, BOS))
    return vocab, NGramLM.kneser_ney(counts, modified=True)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_the_discounts_of_sentences_are_those_of_kenlm(order):
    counts = kenlm_model(order)[1].counts
    values = [*counts.continuation[1:], counts.raw[order]]
    discounts = [estimate_discounts(count, modified=True)[1:] for count in values]
    expected = KENLM["orders"][str(order)]["discounts"]
    np.testing.assert_allclose(discounts, expected, rtol=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_the_probabilities_of_sentences_are_those_of_kenlm(order):
    vocab, model = kenlm_model(order)
    expected = KENLM["orders"][str(order)]
    num_unknown = 0
    for text, log10_probs, is_unknown in zip(
        KENLM["test"], expected["log10"], expected["oov"], strict=True
    ):
        ids = [*vocab.to_ids(text.split()), EOS]
        assert [i == UNK for i in ids] == [bool(x) for x in is_unknown]
        num_unknown += ids.count(UNK)
        log_probs = model.score(ids)
        np.testing.assert_allclose(log_probs / math.log(10), log10_probs, atol=5e-6)
        stepwise, _ = model(torch.tensor([[BOS, *ids]]))  # (1, N + 1, V)
        stepwise = stepwise[0, :-1].gather(-1, torch.tensor(ids)[:, None])[:, 0]
        torch.testing.assert_close(stepwise, log_probs, rtol=1e-12, atol=1e-12)
    assert num_unknown > 30, "words that the training text has not are compared too"


@pytest.mark.skipif(
    not os.environ.get("LLM_BOOK_DATA"),
    reason="the real plays: set LLM_BOOK_DATA to a folder that holds them",
)
def test_perplexity_of_the_plays_line_by_line_is_that_of_kenlm(monkeypatch):
    """137.8 on the test split at order 5, where tokens outside the vocabulary are left out."""
    monkeypatch.delenv("LLM_BOOK_OFFLINE", raising=False)
    corpus = load_text()
    assert corpus.origin == "real"
    words = WordTokenizer.train(corpus.train)
    train, test = (
        [[*ids, EOS] for ids in map(words.encode, text.splitlines()) if ids]
        for text in (corpus.train, corpus.test)
    )
    counts = NGramCounts(train, order=5, vocab_size=len(words), never_predicted=(PAD, BOS))
    model = NGramLM.kneser_ney(counts, modified=True)
    log_probs = torch.cat([model.score(ids) for ids in test])
    is_word = torch.tensor([i != UNK for ids in test for i in ids])
    assert math.exp(-log_probs[is_word].mean()) == pytest.approx(137.8, abs=0.05)


SENTENCES = [[4, 5, EOS], [4, 6, 6, EOS], [5, 4, EOS], [6, 6, 5, EOS], [5, 4, 6, EOS]]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_context_of_a_model_of_sentences_sums_to_one(name, order):
    """Also those that no sentence has, such as two BOS or a BOS after a word."""
    counts = NGramCounts(SENTENCES, order=order, vocab_size=V, never_predicted=(PAD, BOS))
    model = ESTIMATORS[name](counts)
    for context in itertools.product([BOS, EOS, UNK, 4, 6, 8], repeat=order - 1):
        p = probabilities(model, list(context))
        assert p.sum() == pytest.approx(1, abs=1e-12) and p.min() >= 0
        assert p[[PAD, BOS]].tolist() == [0, 0]
        assert name == "mle" or p[2:].min() > 0


def test_add_k_adds_to_the_tokens_that_are_predicted():
    counts = NGramCounts(SENTENCES, order=2, vocab_size=V, never_predicted=(PAD, BOS))
    p = probabilities(NGramLM.add_k(counts, 0.5), [BOS])  # five sentences, two begin with 4
    np.testing.assert_allclose(p[[PAD, 4, 8]], [0, 2.5 / (5 + 3.5), 0.5 / (5 + 3.5)])


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_sentence_begins_as_the_training_sentences_do(name, order):
    """After BOS only, however many BOS fill the state, and whatever was said before them."""
    model = ESTIMATORS[name](count(SENTENCES, order))
    at_start = probabilities(model, [BOS] * (order - 1))
    bigram = ESTIMATORS[name](count(SENTENCES, order), order=2)
    if name in ("mle", "add-k"):  # shorter contexts have no part in them
        np.testing.assert_allclose(at_start, probabilities(bigram, [BOS]), rtol=1e-12)
    assert 1 > at_start[[4, 5]].min() > at_start[6] > at_start[EOS]
    if name == "mle":
        np.testing.assert_allclose(at_start[[4, 5, 6]], [0.4, 0.4, 0.2])
    if order > 2:
        after_a_sentence = probabilities(model, [4] * (order - 3) + [EOS, BOS])
        np.testing.assert_array_equal(after_a_sentence, at_start)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_score_of_sentences_is_the_full_distribution_step_by_step(name, order):
    model = ESTIMATORS[name](count(SENTENCES, order))
    ids, state, expected = [4, 6, 5, EOS], None, []
    for previous, token in itertools.pairwise([BOS, *ids]):
        logits, state = model(torch.tensor([[previous]]), state)
        expected.append(logits[0, 0, token])
    assert state.shape == (1, order - 1)
    torch.testing.assert_close(model.score(ids), torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_lower_order_of_sentences_is_that_order(order):
    for name, estimate in ESTIMATORS.items():
        low, high = estimate(count(SENTENCES, order)), estimate(count(SENTENCES, 5), order=order)
        for ids in SENTENCES:
            torch.testing.assert_close(
                high.score(ids), low.score(ids), rtol=1e-12, atol=0, msg=name
            )


# (context, word): interpolated Witten–Bell, and absolute discounting with D = 0.6, of order 3, by
# nltk 3.10.4 (nltk.lm, fitted on the n-grams of each sentence after one <s>, those that end with
# <s> left out).
NLTK_SENTENCES = ["we saw the red sea", "the red sea rose", "we drank tea", "the tea rose"]
NLTK = {
    ("the red", "sea"): (0.9005847953216375, 0.9194736842105262),
    ("<bos> we", "drank"): (0.3881578947368421, 0.33894736842105266),
    ("<bos> we", "rose"): (0.02631578947368421, 0.03789473684210525),
    ("<bos> <bos>", "the"): (0.3859649122807018, 0.39736842105263154),  # after <s> alone
    ("sea rose", "<eos>"): (0.868421052631579, 0.8578947368421053),
    ("we the", "tea"): (0.2421052631578947, 0.17543859649122806),
    ("red tea", "sea"): (0.05263157894736842, 0.0631578947368421),
}


def test_witten_bell_and_absolute_discounting_are_those_of_nltk():
    """It ends with relative frequencies of words, where we go on to the uniform distribution."""
    words = WordTokenizer.train(NLTK_SENTENCES)
    sentences = [[*words.encode(text), EOS] for text in NLTK_SENTENCES]
    counts = NGramCounts(sentences, order=3, vocab_size=len(words))
    models = []
    for estimates in (
        witten_bell_estimates(counts, order=3),
        discounted_estimates(counts, counts.raw[1:], [np.full(4, 0.6)] * 3),
    ):
        estimates.ngram_probs[0] = counts.raw[1] / counts.raw[1].sum()
        estimates.lower_order_weights[0] = np.zeros(2)
        models.append(NGramLM(counts, estimates))
    for (context, word), expected in NLTK.items():
        state = torch.tensor([[words.vocab.index[w] for w in context.split()]])
        p = [model.score([words.vocab.index[word]], state).exp().item() for model in models]
        assert p == pytest.approx(expected, rel=1e-12)


def test_witten_bell_equals_an_example_worked_by_hand():
    """a b a c (ids 4 5 4 6) as a running text, order 2; V = 7.

    Four tokens, three distinct: p(a) = (2 + 3 · 1/7)/7, p(b) = p(c) = (1 + 3/7)/7, others (3/7)/7.
    After a: b and c once each, so p(b | a) = (1 + 2 p(b))/4 and p(a | a) = 2 p(a)/4.
    """
    model = NGramLM.witten_bell(NGramCounts([4, 5, 4, 6], order=2, vocab_size=7))
    p = {4: (2 + 3 / 7) / 7, 5: (1 + 3 / 7) / 7, 6: (1 + 3 / 7) / 7, UNK: 3 / 49}
    after_a = probabilities(model, [4])
    assert after_a[5] == pytest.approx((1 + 2 * p[5]) / 4, rel=1e-14)
    assert after_a[4] == pytest.approx(p[4] / 2, rel=1e-14)
    for w, lower in p.items():  # c was never followed by anything: the lower order alone
        assert probabilities(model, [6])[w] == pytest.approx(lower, rel=1e-14)


def test_absolute_discounting_is_kneser_ney_of_occurrences():
    counts, plain = count(random_text(), 4), count(random_text(), 4)
    plain.continuation = counts.raw
    ids = random_text(50, seed=1)
    for order, discount in itertools.product((1, 2, 4), (None, 0.6)):
        options = {"order": order, "discount": discount}
        computed = NGramLM.absolute_discounting(counts, **options).score(ids)
        assert torch.equal(computed, NGramLM.kneser_ney(plain, **options).score(ids))
    difference = NGramLM.absolute_discounting(counts).score(ids) - NGramLM.kneser_ney(counts).score(
        ids
    )
    assert difference.abs().max() > 0.01


def test_logits_for_mps_are_float32(monkeypatch):
    """It has no float64, of which `to` would complain."""

    class OnMPS(torch.Tensor):
        device = torch.device("mps")

    dtypes = []
    monkeypatch.setattr(torch.Tensor, "to", lambda x, device: dtypes.append((x.dtype, device)) or x)
    logits, state = bigram_model()(torch.tensor([[4, 5]]).as_subclass(OnMPS))
    mps = torch.device("mps")
    assert dtypes == [(torch.float32, mps), (torch.int64, mps)]
    assert logits.dtype == torch.float32 and state.dtype == torch.int64


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
    results = beam_search(model, bos, beam=BeamConfig(300, length_penalty=0), max_length=4)
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
        (lambda: NGramLM.add_k(count(TEXT, 2), 1e308), "k must be"),
        (lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=0), "discount must be .*, got 0"),
        (lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=1.5), "discount must be .*, got 1.5"),
        (
            lambda: NGramLM.absolute_discounting(count(TEXT, 2), discount=0),
            "discount must be .*, got 0",
        ),
        (lambda: NGramLM.absolute_discounting(count(TEXT, 2), order=3), "1 … 2 tokens"),
        (lambda: NGramLM.witten_bell(count(TEXT, 2), order=3), "1 … 2 tokens"),
        (
            lambda: NGramLM.kneser_ney(count(TEXT, 2), discount=0.5, modified=True),
            "discount=0.5 and modified=True",
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


@pytest.mark.parametrize("order", [1.5, "2", True, 0, 3])
def test_an_order_that_was_not_counted_or_is_not_an_integer_is_refused(order):
    counts = NGramCounts([4, 5, 4, 5, 3], order=2, vocab_size=6)
    for estimate in (NGramLM.mle, NGramLM.witten_bell, NGramLM.kneser_ney):
        with pytest.raises(ValueError, match=rf"order={order!r}, but n-grams of 1 … 2 tokens were"):
            estimate(counts, order=order)


@pytest.mark.parametrize("ids", [[[3]], np.array([[3]])])
def test_ids_that_are_not_a_tensor_are_refused(ids):
    model = NGramLM.mle(NGramCounts([4, 5, 4, 5, 3], order=2, vocab_size=6))
    with pytest.raises(ValueError, match=r"a tensor of the shape \(B, T\); got \w+"):
        model(ids)
