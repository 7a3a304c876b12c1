"""The parts "fusion" and "noise" of ``speech``: grids, lists of texts, and where the noise is."""

import math

import numpy as np
import pytest
import torch

from benchmarks.speech import date_models, fusion, noise, voices
from benchmarks.speech.dates import train_language_model
from utils.data.vocabulary import BOS, EOS
from utils.models.gpt import GPT
from utils.speech.audio import add_noise
from utils.speech.ctc_beam_search import CTCHypothesis
from utils.speech.digits import DIGIT_TOKENIZER
from utils.speech.features import log_mel

DATES = ["19990101", "20240229", "20010911", "19700101"]


@pytest.fixture
def fresh_voices():
    """Recognizers and recordings of this test alone."""
    for cached in (voices.load_voices, voices.train_ear):
        cached.cache_clear()
    yield
    for cached in (voices.load_voices, voices.train_ear):
        cached.cache_clear()


@pytest.mark.parametrize("best", [(0.5, 2.0), (4.0, 2.0), (0.06, 0.0), (0.5, 9.0), (0.5, -5.0)])
def test_a_grid_grows_until_its_best_is_inside(best):
    def score(weight, bonus):
        return abs(math.log2(weight / best[0])) + abs(bonus - best[1])

    scores = fusion.grow_grid(score, (0.25, 0.5, 1.0), (0.0, 2.0, 4.0))
    weight, bonus = fusion.best_point(scores)
    assert scores[weight, bonus] == min(scores.values())
    weights, bonuses = ({point[i] for point in scores} for i in (0, 1))
    assert min(weights) < weight < max(weights) and min(bonuses) < bonus < max(bonuses)


def test_a_grid_without_a_best_inside_is_refused():
    with pytest.raises(RuntimeError, match="edge"):
        fusion.grow_grid(lambda weight, bonus: -bonus, (0.25, 0.5, 1.0), (0.0, 2.0, 4.0))


def test_texts_of_different_lengths_have_the_log_probabilities_of_each_alone():
    ngram = train_language_model(DATES)
    texts = [DIGIT_TOKENIZER.encode(text) for text in ("1999", "20240229", "")]
    alone = [ngram.score(torch.tensor([*text, EOS])).sum().item() for text in texts]
    assert date_models.text_log_probs(ngram, texts) == pytest.approx(alone)
    torch.manual_seed(0)
    gpt = GPT(len(DIGIT_TOKENIZER), **date_models.GPT_SIZES).eval()
    alone = []
    for text in texts:
        log_p = gpt(torch.tensor([[BOS, *text]]))[0][0].log_softmax(-1)
        alone.append(sum(log_p[t, v].item() for t, v in enumerate([*text, EOS])))
    assert date_models.text_log_probs(gpt, texts) == pytest.approx(alone, rel=1e-5)


def test_a_list_is_rescored_by_weight_and_bonus():
    texts = [CTCHypothesis([4], -1.0, 0.0, -1.0), CTCHypothesis([5, 6], -2.0, 0.0, -2.0)]
    lists = fusion.TextLists([texts], [[-5.0, -4.0]])
    assert lists.answers(0.0, 0.0) == [[4]]
    assert lists.answers(2.0, 0.0) == [[5, 6]]
    assert lists.answers(0.0, 1.5) == [[5, 6]]
    said = DIGIT_TOKENIZER.decode([5, 6])
    assert fusion.fewest_errors([texts], [said]) == [[5, 6]]


def test_no_take_is_trained_and_tested(short_corpora, fresh_voices):
    parts = voices.load_voices()
    assert parts.train.keys() == parts.known.keys() and len(parts.train) == 3
    assert len(parts.valid) == 1 and len(parts.test) == 2
    assert not parts.train.keys() & (parts.valid.keys() | parts.test.keys())
    for name, recordings in parts.train.items():
        for digit, takes in recordings.items():
            known = parts.known[name][digit]
            assert len(known) == voices.TEST_TAKES
            assert not any(np.array_equal(a, b) for a in takes for b in known)


def test_noise_is_where_it_should_be():
    spoken = np.zeros(4000)
    spoken[1000:2000] = np.sin(np.arange(1000) + 0.5)
    drawn = np.random.default_rng(0).standard_normal(4000) * np.sqrt(np.square(spoken).mean())
    quiet_gaps = noise.noisy_clip(spoken, drawn, digits=0, gaps=300) - spoken
    noisy_gaps = noise.noisy_clip(spoken, drawn, digits=300, gaps=0) - spoken
    inside = slice(1000 - noise.MARGIN, 2000 + noise.MARGIN)
    assert quiet_gaps[inside].std() > 0.1 and noisy_gaps[inside].std() < 1e-6
    assert noisy_gaps[2200:].std() > 0.1 and quiet_gaps[2200:].std() < 1e-6
    same = noise.noisy_clip(spoken, drawn, digits=10, gaps=10)
    library = add_noise(spoken, snr=10, rng=np.random.default_rng(0))
    np.testing.assert_allclose(same, library, atol=1e-6)


def test_features_are_normalized_by_the_clip_that_is_named():
    rng = np.random.default_rng(0)
    spoken = np.zeros(8000)
    spoken[2000:6000] = rng.standard_normal(4000)
    drawn = rng.standard_normal(8000)
    own = noise.featurizer(20, 20)(spoken, drawn)
    library = log_mel(noise.noisy_clip(spoken, drawn, digits=20, gaps=20))
    torch.testing.assert_close(own, library)
    foreign = noise.featurizer(20, 20, 8)(spoken, drawn)
    assert foreign.mean().abs() > 0.01, "not the clip's own mean"
    energies = noise.log_energies(noise.noisy_clip(spoken, drawn, digits=20, gaps=8))
    back = foreign * (energies.std(0, correction=0) + 1e-3) + energies.mean(0)
    quiet = noise.log_energies(noise.noisy_clip(spoken, drawn, digits=20, gaps=20))
    torch.testing.assert_close(back, quiet)


def test_rows_of_both_parts(run, fresh_voices, monkeypatch):
    monkeypatch.setattr(voices, "CLIPS", 2)
    monkeypatch.setattr(date_models, "GPT_STEPS", 2)
    monkeypatch.setattr(fusion, "LIST_SIZE", 4)
    monkeypatch.setattr(noise, "STRINGS", 3)
    monkeypatch.setattr(fusion, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    one_point = {(0.5, 2.0): 50.0}
    monkeypatch.setattr(fusion, "grow_grid", lambda score, *_: one_point)
    rows = run("speech", "fusion", "--steps", 1)["rows"]
    arms = {row["arm"]: row["figures"] for row in rows if row["part"] == "fusion"}
    assert arms.keys() == fusion.ARMS.keys()
    for figures in arms.values():
        errors = list(map(int, figures["errors in each date"].split()))
        assert figures["WER, dates (%)"] == pytest.approx(100 * sum(errors) / (4 * 8))
    assert arms["GPT, list"]["weight"] == 0.5 and arms["GPT, list"]["bonus"] == 2.0
    rows = run("speech", "noise", "--steps", 1)["rows"]
    arms = {row["arm"]: row["figures"] for row in rows if row["part"] == "noise"}
    assert arms.keys() == {"new voices", "known voices"}
    assert all(figures.keys() == noise.CONDITIONS.keys() for figures in arms.values())
