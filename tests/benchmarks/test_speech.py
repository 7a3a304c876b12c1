"""The benchmark of spoken digits: its error rates are those of the recognizers that it trains."""

from statistics import mean

import jiwer
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.speech import dates, isolated, lengths
from benchmarks.speech.task import digit_error_rate
from tests.helpers.benchmark_runs import record_calls
from utils.data.corpora import load_digits
from utils.data.vocabulary import EOS
from utils.speech.digits import DIGIT_TOKENIZER
from utils.speech.transcription import clip_log_probs


def error_rate(answers, texts):
    """The word error rate by another implementation."""
    hypotheses = [" ".join(DIGIT_TOKENIZER.decode(ids)) for ids in answers]
    return jiwer.wer([" ".join(text) for text in texts], hypotheses)


def test_the_error_rate_counts_edits_of_digits():
    answers = [DIGIT_TOKENIZER.encode(text) for text in ("1234", "77", "")]
    texts = ["134", "78", "5"]
    assert digit_error_rate(answers, texts) == pytest.approx(3 / 6)
    assert digit_error_rate(answers, texts) == pytest.approx(error_rate(answers, texts))


def test_dates_of_each_speaker(run, monkeypatch):
    monkeypatch.setattr(dates, "DATES_PER_SPEAKER", 2)
    monkeypatch.setattr(dates, "LANGUAGE_MODEL_DATES", 50)
    monkeypatch.setattr(dates, "FUSIONS", dates.FUSIONS[:2])
    trainings = record_calls(monkeypatch, dates, "train_digit_model")
    decodings = record_calls(monkeypatch, dates, "digit_error_rate")
    part = run("speech", "dates", "--steps", 1)["dates"]
    speakers = sorted({clip.speaker for clip in load_digits().all})
    assert [result["speaker"] for result in part["runs"]] == speakers
    for i, ((recordings, *_), _) in enumerate(trainings):
        others = {speakers[i], speakers[(i + 1) % len(speakers)]}
        assert recordings.keys() == set(speakers) - others, "neither validation nor test"
    assert all(rate == pytest.approx(error_rate(*arguments)) for arguments, rate in decodings)
    names = ("without_language_model", "with_language_model")
    for i, result in enumerate(part["runs"]):  # after the two choices of the validation speaker
        *_, without, with_model = (rate for _, rate in decodings[4 * i : 4 * i + 4])
        assert (result[names[0]], result[names[1]]) == (without, with_model)
        assert result["fusion"] in [{"lm_weight": 0.25, "token_bonus": bonus} for bonus in (0, 1)]
    before, after = (mean(result[name] for result in part["runs"]) for name in names)
    assert part["means"] == pytest.approx(dict(zip(names, (before, after), strict=True)))
    assert part["removed"] == pytest.approx(1 - after / before)
    assert part["steps"] == 1 and part["provenance"]["origin"] == "stand-in"


def test_the_dates_of_one_calendar_are_all_different_days():
    calendar = dates.shuffled_calendar(0)
    assert len(set(calendar)) == len(calendar) == dates.DAYS
    assert {min(calendar), max(calendar)} == {"19500101", "20491231"}
    assert calendar[:9] != dates.shuffled_calendar(1)[:9]
    model = dates.train_language_model(calendar[:200])
    text = torch.tensor([*DIGIT_TOKENIZER.encode(calendar[0]), EOS])
    assert model.score(text).sum() > model.score(text.flip(0)).sum()


def test_single_digits(run, monkeypatch):
    calls = record_calls(monkeypatch, isolated, "train_recognizer")
    answers = record_calls(monkeypatch, isolated, "most_probable_digit")
    part = run("speech", "isolated", "--steps", 2)["isolated"]
    ((model, *_), _), clips = calls[0], load_digits().test
    rng, num_right = np.random.default_rng([0, 1]), 0
    for clip, (_, answer) in zip(clips, answers, strict=True):
        samples = isolated.normalize_loudness(clip.samples)
        samples = isolated.surround_with_silence(samples, snr=isolated.TEST_SNR, rng=rng)
        assert len(samples) == len(clip.samples) + 2 * 1200, "0.15 s of 8,000 samples per second"
        (log_probs,) = clip_log_probs(model, [samples])  # (S, V + 1), the blank last
        losses = [
            F.ctc_loss(
                log_probs[:, None],
                torch.tensor([DIGIT_TOKENIZER.encode(str(digit))]),
                [len(log_probs)],
                [1],
                blank=log_probs.shape[1] - 1,
            )
            for digit in range(10)
        ]
        assert losses[answer] == pytest.approx(min(losses)), "the most probable digit"
        num_right += answer == clip.digit
    (result,) = part["runs"]
    assert result == {"seed": 0, "accuracy": pytest.approx(num_right / 60), "num_tested": 60}
    assert part["accuracy"] == result["accuracy"] and part["steps"] == 2


def test_longer_strings(run, monkeypatch):
    monkeypatch.setattr(lengths, "LENGTHS", (3, 5))
    monkeypatch.setattr(lengths, "STRINGS_PER_LENGTH", 2)
    decodings = record_calls(monkeypatch, lengths, "digit_error_rate")
    part = run("speech", "lengths", "--steps", 1)["lengths"]
    outputs = [(result["recognizer"], result["output"]) for result in part["runs"]]
    assert outputs == [
        ("joint, location", "CTC"),
        ("joint, location", "attention"),
        ("joint, content", "CTC"),
        ("joint, content", "attention"),
        ("attention alone", "attention"),
    ]
    for i, result in enumerate(part["runs"]):
        by_hand = [error_rate(*arguments) for arguments, _ in decodings[2 * i : 2 * i + 2]]
        assert result["rates"] == pytest.approx(by_hand)
        assert part["means"][": ".join(outputs[i])] == result["rates"], "the mean of one seed"
        assert ("alignment" in result) == (i == 1)
    alignment = part["runs"][1]["alignment"]
    assert len(alignment["said"]) == 5
    assert len(alignment["weights"]) == len(alignment["written"]) + 1
    for row in alignment["weights"]:
        assert sum(row) == pytest.approx(1, abs=0.0005 * len(row))
    assert part["lengths"] == [3, 5] and part["provenance"]["seeds"] == [0]
