"""The part "voices" of ``speech``: who trains and who tests, grids, and lists of texts."""

import math

import numpy as np
import pytest
import torch

from benchmarks import tuning
from benchmarks.speech import answers, date_models, fusion, voices
from utils.data.vocabulary import BOS, EOS
from utils.models.gpt import GPT
from utils.models.ngram import NGramLM
from utils.speech.ctc_beam_search import CTCHypothesis
from utils.speech.digits import DIGIT_TOKENIZER

DATES = ["19990101", "20240229", "20010911", "19700101"]


@pytest.fixture
def fresh_voices():
    """Recognizers and recordings of this test alone."""
    for cached in (voices.load_voices, voices.train_recognizer_without_pair):
        cached.cache_clear()
    yield
    for cached in (voices.load_voices, voices.train_recognizer_without_pair):
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
    ngram = NGramLM.kneser_ney(date_models.count_texts(DATES, 8))
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
    lists = answers.TextLists([texts], [[-5.0, -4.0]])
    assert lists.answers(0.0, 0.0) == [[4]]
    assert lists.answers(2.0, 0.0) == [[5, 6]]
    assert lists.answers(0.0, 1.5) == [[5, 6]]
    said = DIGIT_TOKENIZER.decode([5, 6])
    assert answers.fewest_errors([texts], [said]) == [[5, 6]]


def test_the_dates_of_one_calendar_are_all_different_days():
    calendar = date_models.shuffled_calendar(0)
    assert len(set(calendar)) == len(calendar) == date_models.DAYS
    assert {min(calendar), max(calendar)} == {"19500101", "20491231"}
    assert calendar[:9] != date_models.shuffled_calendar(1)[:9]
    model = NGramLM.kneser_ney(date_models.count_texts(calendar[:200], 8))
    text = torch.tensor([*DIGIT_TOKENIZER.encode(calendar[0]), EOS])
    assert model.score(text).sum() > model.score(text.flip(0)).sum()


def holds(recordings, take):
    """Whether a take is among recordings."""
    return any(np.array_equal(take, own) for takes in recordings.values() for own in takes)


def test_no_voice_trains_the_recognizer_that_it_tests(short_corpora, fresh_voices):
    by_seed = [voices.load_voices(seed) for seed in range(6)]
    names = [parts.test_name for parts in by_seed]
    assert len(set(names)) == 6
    for seed, parts in enumerate(by_seed):
        other = by_seed[seed ^ 1]
        assert voices.pair_of(seed) == voices.pair_of(seed ^ 1)
        assert (
            parts.train.keys()
            == other.train.keys()
            == set(names)
            - {
                parts.test_name,
                other.test_name,
            }
        )
        assert list(map(len, parts.valid.values())) == list(map(len, other.test.values()))
        assert all(holds(other.test, take) for takes in parts.valid.values() for take in takes)


def test_the_known_voice_is_tested_on_takes_that_did_not_train(short_corpora, fresh_voices):
    for seed in range(6):
        parts = voices.load_voices(seed)
        assert all(len(takes) == voices.TEST_TAKES for takes in parts.first.values())
        assert fusion.NOISE_ARMS["new voice"](seed) == voices.pair_of(seed)
        trained = voices.load_voices(2 * fusion.NOISE_ARMS["known voice"](seed)).train
        assert parts.test_name in trained
        assert not any(
            holds(trained[parts.test_name], take)
            for takes in parts.first.values()
            for take in takes
        )


def test_rows_of_all_arms(run, fresh_voices, monkeypatch):
    for name in ("VALID_CLIPS", "TEST_CLIPS", "NOISE_CLIPS"):
        monkeypatch.setattr(voices, name, 2)
    monkeypatch.setattr(date_models, "GPT_STEPS", 2)
    monkeypatch.setattr(fusion, "LIST_SIZE", 4)
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    one_point = {(0.5, 2.0): 50.0}
    monkeypatch.setattr(fusion, "grow_grid", lambda score, *_: one_point)
    rows = run("speech", "voices", "--steps", 1)["rows"]
    arms = {row["arm"]: row["figures"] for row in rows if row["part"] == "voices"}
    assert arms.keys() == fusion.FUSION_ARMS.keys() | fusion.NOISE_ARMS.keys()
    assert len({figures["voice"] for figures in arms.values()}) == 1
    ngram = arms["n-gram, search"]
    assert ngram["order"] in fusion.ORDERS and (ngram["weight"], ngram["bonus"]) == (0.5, 2.0)
    assert ngram["wrong answers that are dates of its text"] <= ngram["wrong answers"] <= 2
    lists = arms["n-gram, list of the search"]
    assert lists["WER, best of the list (%)"] <= lists["WER, dates (%)"]
    assert arms["GPT, list of the search"]["order"] is None
